// What a cell may reach, what it used of it, what it was refused, and the secrets that are put into
// its requests.

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

json::Value secrets_json(const cell::SecretSet& secrets) {
  json::Array list;
  for (const auto& [name, secret] : secrets) list.push_back(cell::to_json(name, secret));
  return json::object({{"secrets", std::move(list)}});
}

asio::awaitable<void> show_secrets(const Call& call) {
  const auto cell = call.cell();
  const cell::SecretSet secrets = co_await cell->secrets();
  co_await call.answer(secrets_json(secrets));
}

asio::awaitable<void> change_secret(const Call& call, std::optional<cell::Secret> secret) {
  const auto cell = call.cell();
  cell::CellSettings settings;
  settings.changed_secrets.emplace(call.params.at("name"), std::move(secret));
  co_await cell->apply(std::move(settings));
}

asio::awaitable<void> set_secret(const Call& call) {
  const auto cell = call.cell();
  const std::string& name = call.params.at("name");
  const json::Value value = co_await call.body(kSmallBodyMax);
  cell::Secret secret = cell::read_secret(name, value);
  const json::Value shown = cell::to_json(name, secret);
  co_await change_secret(call, std::move(secret));
  co_await call.answer(shown);
}

asio::awaitable<void> remove_secret(const Call& call) {
  co_await change_secret(call, std::nullopt);
  co_await call.answer_nothing();
}

}  // namespace

std::vector<Route> network_routes() {
  return {{"GET", "/api/v1/cells/{id}/network", show_network},
          {"PUT", "/api/v1/cells/{id}/network", set_network, std::nullopt, Tokens::refused},
          {"GET", "/api/v1/cells/{id}/secrets", show_secrets},
          {"PUT", "/api/v1/cells/{id}/secrets/{name}", set_secret, std::nullopt, Tokens::refused},
          {"DELETE", "/api/v1/cells/{id}/secrets/{name}", remove_secret, std::nullopt,
           Tokens::refused}};
}

}  // namespace cellar::api
