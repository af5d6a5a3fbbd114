#include "cli/commands.h"

namespace cellar::cli {
namespace {

std::string text_at(const json::Value& answer, std::initializer_list<std::string_view> path) {
  const json::Value* at = &answer;
  for (const std::string_view key : path) {
    at = at->find(key);
    if (at == nullptr) return "";
  }
  return format_value(*at);
}

void show_usage(const json::Value& answer, Output& output) {
  if (output.format() == Format::json) return output.json(answer);
  std::vector<Row> rows;
  const auto add = [&](const std::string& what, const std::string& value) {
    if (!value.empty()) rows.push_back({what, value});
  };
  add("llm requests", text_at(answer, {"llm", "requests"}));
  add("llm input tokens", text_at(answer, {"llm", "input_tokens"}));
  add("llm output tokens", text_at(answer, {"llm", "output_tokens"}));
  if (const std::string tokens = text_at(answer, {"llm", "budget", "tokens"}); !tokens.empty()) {
    add("llm budget", tokens + " tokens per " + text_at(answer, {"llm", "budget", "per"}) +
                          ", of the " + text_at(answer, {"llm", "budget_of"}));
  }
  const json::Value* llm = answer.find("llm");
  const json::Value* models = llm == nullptr ? nullptr : llm->find("models");
  if (models != nullptr && models->is_object()) {
    for (const auto& [name, model] : models->as_object()) {
      add("llm " + name, text_at(model, {"requests"}) + " requests, " +
                             text_at(model, {"input_tokens"}) + " tokens in, " +
                             text_at(model, {"output_tokens"}) + " out");
    }
  }
  add("network bytes up", text_at(answer, {"network", "bytes_up"}));
  add("network bytes down", text_at(answer, {"network", "bytes_down"}));
  add("network connections", text_at(answer, {"network", "connections"}));
  add("cpu seconds",
      text_at(answer, {"cpu", "seconds"}) + " since " + text_at(answer, {"cpu", "since"}));
  add("runs kept", text_at(answer, {"runs", "kept"}));
  add("steps done", text_at(answer, {"runs", "steps"}));
  output.write(format_table({"USED", "HOW MUCH"}, rows, output.look()));
}

}  // namespace

int run(const CellUsage& command, Context& context) {
  show_usage(context.api.get(cell_path(command.cell_id, "/usage")), context.output);
  return 0;
}

int run(const Llm& command, Context& context) {
  if (command.action == "show") {
    const json::Value cell = context.api.get(cell_path(command.cell_id, ""));
    const json::Value* llm = cell.find("llm");
    show(llm == nullptr ? json::Value() : *llm, context.output);
    return 0;
  }
  json::Value body = json::object({{"enabled", command.action == "on"}});
  if (command.budget) {
    body.as_object().set("budget",
                         json::object({{"tokens", *command.budget}, {"per", command.per}}));
  }
  show(context.api.put(cell_path(command.cell_id, "/llm"), body), context.output);
  return 0;
}

}  // namespace cellar::cli
