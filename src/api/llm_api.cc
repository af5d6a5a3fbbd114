// What a cell may ask of the daemon's models, and what it has used: of models, of the network, of
// the processor, of its journal.

#include "api/api.h"
#include "api/views.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

json::Value llm_use_json(const cell::LlmUse& use) {
  const auto counts = [](const cell::LlmUse::OfModel& model) {
    return json::object({{"requests", model.requests},
                         {"input_tokens", model.input_tokens},
                         {"output_tokens", model.output_tokens}});
  };
  json::Value value = counts(use.total());
  json::Object models;
  for (const auto& [name, model] : use.models) models.set(name, counts(model));
  value.as_object().set("models", std::move(models));
  return value;
}

asio::awaitable<void> show_usage(const Call& call) {
  const auto cell = call.cell();
  const cell::LlmAccount& account = cell->llm_account();
  json::Value llm = llm_use_json(account.use());
  if (const auto budget = account.budget()) {
    llm.as_object().set("budget", llm::to_json(*budget));
    llm.as_object().set("budget_of", cell->spec().llm.budget ? "cell" : "daemon");
  }
  const cell::CellUse use = co_await cell->used();
  const net::Usage& network = use.network;
  json::Value used = json::object(
      {{"cell_id", cell->spec().cell_id},
       {"llm", std::move(llm)},
       {"network", json::object({{"bytes_up", network.bytes_up},
                                 {"bytes_down", network.bytes_down},
                                 {"connections", network.connections}})},
       {"cpu",
        json::object({{"seconds", use.cpu.count() / 1e6}, {"since", to_iso8601(use.cpu_since)}})},
       {"runs", json::object({{"kept", use.run_count}, {"steps", use.step_count}})}});
  co_await call.answer(std::move(used));
}

asio::awaitable<void> set_llm(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  cell::CellSettings settings;
  settings.llm = cell::read_llm(value);
  co_await cell->apply(std::move(settings));
  co_await call.answer(cell::to_json(cell->spec().llm));
}

}  // namespace

std::vector<Route> llm_routes() {
  return {{"GET", "/api/v1/cells/{id}/usage", show_usage},
          {"PUT", "/api/v1/cells/{id}/llm", set_llm, std::nullopt, Tokens::refused}};
}

}  // namespace cellar::api
