#include "cell/llm_account.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::int64_t kLlmUseVersion = 1;

}  // namespace

LlmUse::OfModel LlmUse::total() const noexcept {
  OfModel sum;
  for (const auto& [name, model] : models) {
    sum.requests += model.requests;
    sum.input_tokens += model.input_tokens;
    sum.output_tokens += model.output_tokens;
  }
  return sum;
}

std::string encode(const LlmUse& use) {
  json::Object models;
  for (const auto& [name, model] : use.models) {
    models.set(name, json::object({{"requests", model.requests},
                                   {"input_tokens", model.input_tokens},
                                   {"output_tokens", model.output_tokens}}));
  }
  return json::dump(json::object({{"version", kLlmUseVersion}, {"models", std::move(models)}})) +
         "\n";
}

LlmUse decode_llm_use(const std::string& text) {
  const json::Value value = json::parse(text);
  const json::Reader reader(value, "the file");
  reader.required_int("version", kLlmUseVersion, kLlmUseVersion);
  const json::Value& models = reader.required_value("models");
  if (!models.is_object()) json::Reader::refuse("models", "an object");
  LlmUse use;
  for (const auto& [name, entry] : models.as_object()) {
    const json::Reader model(entry, "\"" + name + "\"");
    const auto count = [&](std::string_view key) {
      return static_cast<std::uint64_t>(model.required_int(key, 0, INT64_MAX));
    };
    use.models[name] = {.requests = count("requests"),
                        .input_tokens = count("input_tokens"),
                        .output_tokens = count("output_tokens")};
  }
  return use;
}

LlmAccount::LlmAccount(const asio::any_io_executor& executor, async::Pool& pool,
                       llm::Models& models, const LlmSpec& spec, std::string cell_id,
                       std::string file)
    : pool_(pool),
      models_(models),
      spec_(spec),
      cell_id_(std::move(cell_id)),
      file_(std::move(file)),
      turns_(executor, {.at_once = kAtOnce, .waiters_max = kWaitersMax}),
      saves_(executor) {}

void LlmAccount::load() {
  try {
    if (const auto text = sys::read_file(file_)) use_ = decode_llm_use(*text);
  } catch (const Error& error) {
    log::error("cell {}: what it used of models is counted anew: {}: {}", log::cell(cell_id_),
               file_, error.what());
  }
}

void LlmAccount::require_open() const {
  if (models_.empty()) {
    throw Error(ErrorCode::unavailable, "llm_not_configured",
                "ctx.llm.chat: this daemon has no models",
                "its operator names some with --llm FILE");
  }
  if (!spec_.is_allowed) {
    throw Error(ErrorCode::unavailable, "llm_off",
                "ctx.llm.chat: cell " + cell_id_ + " may ask no model",
                "its owner allows it with \"llm\": true");
  }
}

std::optional<llm::Budget> LlmAccount::budget() const {
  return spec_.budget ? spec_.budget : models_.settings().budget;
}

bool LlmAccount::is_spent(std::uint64_t run_tokens) const {
  const auto limit = budget();
  if (!limit || !spec_.is_allowed || models_.empty()) return false;
  const LlmUse::OfModel all = use_.total();
  const bool is_of_run = limit->per == llm::Budget::Per::run;
  return (is_of_run ? run_tokens : all.input_tokens + all.output_tokens) >= limit->tokens;
}

asio::awaitable<void> LlmAccount::count(std::string model, llm::Usage usage) {
  const bool is_known = use_.models.contains(model) || use_.models.size() < kModelNamesMax;
  LlmUse::OfModel& counted = use_.models[is_known ? model : kOtherModels];
  ++counted.requests;
  counted.input_tokens += usage.input_tokens;
  counted.output_tokens += usage.output_tokens;
  const std::uint64_t mine = ++counted_;
  const auto turn = co_await saves_.turn();
  if (saved_ >= mine) co_return;  // With another one's.
  co_await save();
}

asio::awaitable<void> LlmAccount::save() {
  const std::uint64_t held = counted_;
  auto write = [file = file_, text = encode(use_)] { sys::replace_file(file, text); };
  fault_point("llm.before_counted");
  try {
    co_await async::offload(pool_, std::move(write));
    saved_ = held;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    // The answer was paid for: it is not lost for that.
    log::warning("cell {}: what it used of models is not on disk: {}", log::cell(cell_id_),
                 error.what());
  }
  fault_point("llm.counted");
}

}  // namespace cellar::cell
