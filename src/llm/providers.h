#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"
#include "llm/dialect.h"
#include "net/http_url.h"

namespace cellar::llm {

// Who answers, as the operator says it. The key is in this process and in requests to `url` only.
struct Provider {
  std::string name;
  Kind kind = Kind::openai;
  net::HttpUrl url;
  std::string key;                  // empty: none is sent
  std::vector<std::string> models;  // "small-1", "small-*", "*"; empty: all
  std::string default_model;        // empty: the agent names one

  bool has(std::string_view model) const;
};

// What may be used of all models together: each run of a cell for itself, or the cell in its life.
struct Budget {
  enum class Per : std::uint8_t { run, cell };
  std::uint64_t tokens = 0;  // of input and output
  Per per = Per::cell;
  bool operator==(const Budget&) const = default;
};
inline constexpr std::int64_t kBudgetMax = 1'000'000'000'000'000;
std::string_view name_of(Budget::Per per) noexcept;
json::Value to_json(const Budget& budget);
// {tokens, per?}. Throws Error `invalid_argument`, naming the field.
Budget read_budget(const json::Value& value);

struct Settings {
  std::vector<Provider> providers;  // none: no cell has ctx.llm
  std::optional<Budget> budget;     // of cells that have none of their own
};

inline constexpr std::size_t kProvidersMax = 32;
inline constexpr std::size_t kModelsMax = 256;

// Reads the operator's file; `get_key(provider)` gives what the members key_file or key_env name.
// Throws Error `invalid_argument`, reason `invalid_llm_file`.
using GetKey = std::function<std::string(const std::string& key_file, const std::string& key_env)>;
Settings read_settings(const std::string& text, const GetKey& get_key);

// The provider and the model that a request is for.
struct Choice {
  const Provider* provider = nullptr;
  std::string model;
};
// Throws Error `invalid_argument`, reason `llm_unknown_model` or `llm_unknown_provider`.
Choice choose(const Settings& settings, const std::string& provider, const std::string& model);

}  // namespace cellar::llm
