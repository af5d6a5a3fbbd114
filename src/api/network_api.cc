// What a cell may reach, what it used of it, and what it was refused.

#include "api/api.h"
#include "api/views.h"

namespace cellar::api {
namespace {

asio::awaitable<void> show_network(const Call& call) {
  co_await call.answer(network_json(call.cell()->network()));
}

asio::awaitable<void> set_network(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  cell::CellSettings settings;
  settings.network = cell::read_network(value);
  co_await cell->apply(std::move(settings));
  co_await call.answer(network_json(cell->network()));
}

}  // namespace

std::vector<Route> network_routes() {
  return {{"GET", "/api/v1/cells/{id}/network", show_network},
          {"PUT", "/api/v1/cells/{id}/network", set_network}};
}

}  // namespace cellar::api
