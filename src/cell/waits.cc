#include "cell/waits.h"

#include <algorithm>

#include "json/json.h"

namespace cellar::cell {
namespace {

// A century: no clock overflows.
constexpr std::int64_t kMsMax = 100LL * 365 * 86'400'000;

std::optional<std::int64_t> ms_of(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_int()) return value->as_int();
  if (!value->is_number()) return std::nullopt;
  return static_cast<std::int64_t>(std::clamp(value->as_double(), -9e15, 9e15));
}

}  // namespace

bool is_wait(std::string_view kind) noexcept {
  return kind == "sleep" || kind == "wait" || kind == "approval" || kind == "child";
}

std::string absolute_wait(std::string_view kind, std::string_view text, WallTime now) {
  const json::Value asked = json::parse(text);
  json::Value kept = json::object({});
  for (const std::string_view key : {"type", "match", "prompt", "data", "run"}) {
    if (const json::Value* value = asked.find(key)) kept.as_object().set(std::string(key), *value);
  }
  std::optional<std::int64_t> until = ms_of(asked, "until");
  const auto length = ms_of(asked, kind == "sleep" ? "ms" : "timeout");
  if (!until && length) until = to_unix_ms(now) + std::clamp<std::int64_t>(*length, 0, kMsMax);
  if (until) kept.as_object().set("until", std::clamp<std::int64_t>(*until, 0, 2 * kMsMax));
  return json::dump(kept);
}

std::optional<WallTime> wait_until(std::string_view args) {
  const auto until = ms_of(json::parse(args), "until");
  if (!until) return std::nullopt;
  return from_unix_ms(*until);
}

std::string wait_run(std::string_view args) {
  const json::Value wait = json::parse(args);
  const json::Value* run = wait.find("run");
  return run != nullptr && run->is_string() ? run->as_string() : std::string();
}

EventFilter wait_filter(std::string_view args) {
  const json::Value wait = json::parse(args);
  EventFilter filter;
  if (const json::Value* type = wait.find("type"); type != nullptr && type->is_string()) {
    filter.type = type->as_string();
  }
  if (const json::Value* match = wait.find("match"); match != nullptr && match->is_object()) {
    filter.match = match->as_object();
  }
  return filter;
}

bool is_valid_match(std::string_view args) {
  const json::Value wait = json::parse(args);
  const json::Value* match = wait.find("match");
  return match == nullptr || match->is_object();
}

bool EventFilter::takes(const json::Value& payload) const {
  return std::all_of(match.begin(), match.end(), [&](const auto& member) {
    const json::Value* found = payload.find(member.first);
    return found != nullptr && *found == member.second;
  });
}

}  // namespace cellar::cell
