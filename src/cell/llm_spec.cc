#include "cell/llm_spec.h"

#include "json/reader.h"

namespace cellar::cell {

json::Value to_json(const LlmSpec& spec) {
  json::Value value = json::object({{"enabled", spec.is_allowed}});
  if (spec.budget) value.as_object().set("budget", llm::to_json(*spec.budget));
  return value;
}

LlmSpec read_llm(const json::Value& value) {
  if (value.is_bool()) return {.is_allowed = value.as_bool()};
  const json::Reader reader(value, "\"llm\"");
  LlmSpec spec;
  spec.is_allowed = reader.optional_bool("enabled").value_or(true);
  if (const json::Value* budget = reader.optional_value("budget")) {
    spec.budget = llm::read_budget(*budget);
  }
  reader.refuse_unknown();
  return spec;
}

}  // namespace cellar::cell
