#include "journal/records.h"

#include <limits>
#include <utility>

#include "journal/cbor.h"

namespace cellar::journal {
namespace {

using cbor::Map;

// Takes members out of a map; after the first one that is missing or of another kind it is not ok.
class Reader {
 public:
  explicit Reader(std::string_view body) : map_(cbor::decode(body)) {
    if (!map_ || map_->as<Map>() == nullptr) ok_ = false;
  }

  bool ok() const noexcept { return ok_; }
  bool has(std::string_view key) const noexcept { return find(key) != nullptr; }

  // Text, or the bytes that stand for text that is not UTF-8.
  std::string text(std::string_view key) { return text_of(find(key)); }
  std::string text_or_empty(std::string_view key) { return has(key) ? text(key) : std::string(); }
  std::optional<std::string> optional_text(std::string_view key) {
    if (!has(key)) return std::nullopt;
    return text(key);
  }
  std::uint64_t u64(std::string_view key) { return u64_of(find(key)); }
  std::uint32_t u32(std::string_view key) {
    const std::uint64_t number = u64(key);
    if (number > std::numeric_limits<std::uint32_t>::max()) ok_ = false;
    return static_cast<std::uint32_t>(number);
  }
  std::uint32_t u32_or_zero(std::string_view key) { return has(key) ? u32(key) : 0; }
  bool boolean(std::string_view key) {
    const auto* value = get<bool>(find(key));
    return value != nullptr && *value;
  }
  // False where it is absent.
  bool flag(std::string_view key) { return has(key) && boolean(key); }
  Payload payload() {
    Payload payload;
    if (const auto* blob = find("blob")) {
      payload.blob.emplace();
      payload.blob->digest = text_of(blob->find("digest"));
      payload.blob->size_bytes = u64_of(blob->find("size"));
    } else if (const auto* value = get<cbor::Bytes>(find("value"))) {
      payload.bytes = value->bytes;
    }
    return payload;
  }

 private:
  const cbor::Value* find(std::string_view key) const noexcept {
    return ok_ ? map_->find(key) : nullptr;
  }
  template <typename T>
  const T* get(const cbor::Value* value) {
    const T* found = value == nullptr ? nullptr : value->as<T>();
    if (found == nullptr) ok_ = false;
    return found;
  }
  std::string text_of(const cbor::Value* value) {
    if (value != nullptr && value->as<cbor::Bytes>() != nullptr) {
      return value->as<cbor::Bytes>()->bytes;
    }
    const auto* text = get<std::string>(value);
    return text == nullptr ? std::string() : *text;
  }
  std::uint64_t u64_of(const cbor::Value* value) {
    const auto* number = get<std::uint64_t>(value);
    return number == nullptr ? 0 : *number;
  }

  std::optional<cbor::Value> map_;
  bool ok_ = true;
};

void put_payload(Map& map, const Payload& payload) {
  if (payload.blob) {
    Map blob = {{"digest", payload.blob->digest}, {"size", payload.blob->size_bytes}};
    map.emplace_back("blob", std::move(blob));
  } else {
    map.emplace_back("value", cbor::Bytes{payload.bytes});
  }
}

template <typename Body>
std::optional<Body> if_ok(const Reader& reader, Body body) {
  if (!reader.ok()) return std::nullopt;
  return body;
}

}  // namespace

std::optional<BlobRef> blob_in(std::string_view body) {
  Reader reader(body);
  std::optional<BlobRef> blob = reader.payload().blob;
  return reader.ok() ? blob : std::nullopt;
}

std::string RunCreated::encode() const {
  Map map = {{"run_id", run_id}, {"method", method},
             {"params", params}, {"agent_digest", agent_digest},
             {"setup", setup},   {"created_ns", created_ns}};
  if (agent_language) map.emplace_back("agent_language", *agent_language);
  if (idem_key) map.emplace_back("idem_key", *idem_key);
  return cbor::encode(std::move(map));
}

std::optional<RunCreated> RunCreated::decode(std::string_view body) {
  Reader reader(body);
  RunCreated run{.run_id = reader.text("run_id"),
                 .method = reader.text("method"),
                 .params = reader.text("params"),
                 .agent_digest = reader.text("agent_digest"),
                 .agent_language = reader.optional_text("agent_language"),
                 .idem_key = reader.optional_text("idem_key"),
                 .setup = reader.boolean("setup"),
                 .created_ns = reader.u64("created_ns")};
  return if_ok(reader, std::move(run));
}

std::string RunAttempt::encode() const {
  return cbor::encode(Map{{"n", n}, {"epoch", epoch}, {"cause", cause}, {"boot_id", boot_id}});
}

std::optional<RunAttempt> RunAttempt::decode(std::string_view body) {
  Reader reader(body);
  RunAttempt attempt{.n = reader.u32("n"),
                     .epoch = reader.u64("epoch"),
                     .cause = reader.text("cause"),
                     .boot_id = reader.text("boot_id")};
  return if_ok(reader, std::move(attempt));
}

std::string StepStart::encode() const {
  Map map = {
      {"kind", kind}, {"name", name}, {"occ", occ}, {"args_fp", args_fp}, {"policy", policy}};
  if (args) map.emplace_back("args", *args);
  if (sensitive) map.emplace_back("sensitive", sensitive);
  return cbor::encode(std::move(map));
}

std::optional<StepStart> StepStart::decode(std::string_view body) {
  Reader reader(body);
  StepStart start{.kind = reader.text("kind"),
                  .name = reader.text("name"),
                  .occ = reader.u32("occ"),
                  .args_fp = reader.text("args_fp"),
                  .policy = reader.text("policy"),
                  .args = reader.optional_text("args"),
                  .sensitive = reader.flag("sensitive")};
  return if_ok(reader, std::move(start));
}

std::string StepAttemptFailed::encode() const {
  return cbor::encode(Map{{"attempt", attempt}, {"error", error}, {"next_at_ns", next_at_ns}});
}

std::optional<StepAttemptFailed> StepAttemptFailed::decode(std::string_view body) {
  Reader reader(body);
  StepAttemptFailed failed{.attempt = reader.u32("attempt"),
                           .error = reader.text("error"),
                           .next_at_ns = reader.u64("next_at_ns")};
  return if_ok(reader, std::move(failed));
}

std::string StepEnd::encode() const {
  Map map = {{"ok", ok}, {"codec", codec}};
  put_payload(map, value);
  if (sealed) map.emplace_back("sealed", sealed);
  return cbor::encode(std::move(map));
}

std::optional<StepEnd> StepEnd::decode(std::string_view body) {
  Reader reader(body);
  StepEnd end{.ok = reader.boolean("ok"),
              .codec = reader.text("codec"),
              .value = reader.payload(),
              .sealed = reader.flag("sealed")};
  return if_ok(reader, std::move(end));
}

std::string StepInterrupted::encode() const {
  return cbor::encode(Map{{"attempt", attempt}, {"cause", cause}});
}

std::optional<StepInterrupted> StepInterrupted::decode(std::string_view body) {
  Reader reader(body);
  StepInterrupted interrupted{.attempt = reader.u32("attempt"), .cause = reader.text("cause")};
  return if_ok(reader, std::move(interrupted));
}

std::string Progress::encode() const {
  Map map = {{"value", value}};
  if (sealed) map.emplace_back("sealed", sealed);
  if (turn != 0) map.emplace_back("turn", turn);
  return cbor::encode(std::move(map));
}

std::optional<Progress> Progress::decode(std::string_view body) {
  Reader reader(body);
  Progress progress{.value = reader.text("value"),
                    .sealed = reader.flag("sealed"),
                    .turn = reader.u32_or_zero("turn")};
  return if_ok(reader, std::move(progress));
}

std::string Value::encode() const {
  Map map = {{"kind", kind}, {"name", name}, {"args_fp", args_fp}};
  put_payload(map, value);
  return cbor::encode(std::move(map));
}

std::optional<Value> Value::decode(std::string_view body) {
  Reader reader(body);
  Value value{.kind = reader.text("kind"),
              .name = reader.text("name"),
              .args_fp = reader.text("args_fp"),
              .value = reader.payload()};
  return if_ok(reader, std::move(value));
}

std::string Event::encode() const {
  Map map = {{"type", type}, {"data", data}};
  if (step != 0) map.emplace_back("step", step);
  if (turn != 0) map.emplace_back("turn", turn);
  return cbor::encode(std::move(map));
}

std::optional<Event> Event::decode(std::string_view body) {
  Reader reader(body);
  Event event{.type = reader.text("type"),
              .data = reader.text("data"),
              .step = reader.u32_or_zero("step"),
              .turn = reader.u32_or_zero("turn")};
  return if_ok(reader, std::move(event));
}

std::string EventReceived::encode() const {
  Map map = {{"id", id}, {"type", type}};
  put_payload(map, value);
  return cbor::encode(std::move(map));
}

std::optional<EventReceived> EventReceived::decode(std::string_view body) {
  Reader reader(body);
  EventReceived event{
      .id = reader.text("id"), .type = reader.text("type"), .value = reader.payload()};
  return if_ok(reader, std::move(event));
}

std::string WaitMatched::encode() const { return cbor::encode(Map{{"event", event}}); }

std::optional<WaitMatched> WaitMatched::decode(std::string_view body) {
  Reader reader(body);
  const WaitMatched matched{.event = reader.u64("event")};
  return if_ok(reader, matched);
}

std::string CancelRequested::encode() const {
  Map map;
  if (rollback) map.emplace_back("rollback", rollback);
  return cbor::encode(std::move(map));
}

std::optional<CancelRequested> CancelRequested::decode(std::string_view body) {
  Reader reader(body);
  CancelRequested requested{.rollback = reader.flag("rollback")};
  return if_ok(reader, std::move(requested));
}

std::string Paused::encode() const {
  Map map = {{"reason", reason}};
  if (!detail.empty()) map.emplace_back("detail", detail);
  return cbor::encode(std::move(map));
}

std::optional<Paused> Paused::decode(std::string_view body) {
  Reader reader(body);
  Paused paused{.reason = reader.text("reason"), .detail = reader.text_or_empty("detail")};
  return if_ok(reader, std::move(paused));
}

std::string Left::encode() const { return cbor::encode(Map{}); }

std::optional<Left> Left::decode(std::string_view body) { return if_ok(Reader(body), Left{}); }

std::string Resumed::encode() const {
  Map map;
  if (skips_setup) map.emplace_back("skips_setup", skips_setup);
  return cbor::encode(std::move(map));
}

std::optional<Resumed> Resumed::decode(std::string_view body) {
  Reader reader(body);
  Resumed resumed{.skips_setup = reader.flag("skips_setup")};
  return if_ok(reader, std::move(resumed));
}

std::string RunEnded::encode() const {
  Map map = {{"status", status}, {"codec", codec}};
  put_payload(map, value);
  return cbor::encode(std::move(map));
}

std::optional<RunEnded> RunEnded::decode(std::string_view body) {
  Reader reader(body);
  RunEnded ended{
      .status = reader.text("status"), .codec = reader.text("codec"), .value = reader.payload()};
  return if_ok(reader, std::move(ended));
}

std::string Continued::encode() const {
  Map map;
  put_payload(map, value);
  return cbor::encode(std::move(map));
}

std::optional<Continued> Continued::decode(std::string_view body) {
  Reader reader(body);
  Continued continued{.value = reader.payload()};
  return if_ok(reader, std::move(continued));
}

std::string Carried::encode() const {
  Map map = {{"run_id", run_id},
             {"method", method},
             {"agent_digest", agent_digest},
             {"started_ns", started_ns},
             {"attempt", std::uint64_t{attempt}},
             {"generation", std::uint64_t{generation}}};
  put_payload(map, value);
  if (agent_language) map.emplace_back("agent_language", *agent_language);
  if (idem_key) map.emplace_back("idem_key", *idem_key);
  if (llm_tokens != 0) map.emplace_back("llm_tokens", llm_tokens);
  if (!forked_run.empty()) map.emplace_back("forked_run", forked_run);
  if (forked_ordinal != 0) map.emplace_back("forked_ordinal", std::uint64_t{forked_ordinal});
  if (!known_events.empty()) map.emplace_back("known_events", cbor::Bytes{known_events});
  return cbor::encode(std::move(map));
}

std::optional<Carried> Carried::decode(std::string_view body) {
  Reader reader(body);
  Carried carried{.run_id = reader.text("run_id"),
                  .method = reader.text("method"),
                  .value = reader.payload(),
                  .agent_digest = reader.text("agent_digest"),
                  .agent_language = reader.optional_text("agent_language"),
                  .idem_key = reader.optional_text("idem_key"),
                  .started_ns = reader.u64("started_ns"),
                  .attempt = reader.u32("attempt"),
                  .generation = reader.u32("generation"),
                  .llm_tokens = reader.has("llm_tokens") ? reader.u64("llm_tokens") : 0,
                  .forked_run = reader.text_or_empty("forked_run"),
                  .forked_ordinal = reader.u32_or_zero("forked_ordinal"),
                  .known_events = reader.text_or_empty("known_events")};
  return if_ok(reader, std::move(carried));
}

std::string Upgraded::encode() const { return cbor::encode(Map{{"agent_digest", agent_digest}}); }

std::optional<Upgraded> Upgraded::decode(std::string_view body) {
  Reader reader(body);
  Upgraded upgraded{.agent_digest = reader.text("agent_digest")};
  return if_ok(reader, std::move(upgraded));
}

std::string ForkedFrom::encode() const {
  return cbor::encode(Map{{"run_id", run_id}, {"ordinal", std::uint64_t{ordinal}}});
}

std::optional<ForkedFrom> ForkedFrom::decode(std::string_view body) {
  Reader reader(body);
  ForkedFrom forked{.run_id = reader.text("run_id"), .ordinal = reader.u32("ordinal")};
  return if_ok(reader, std::move(forked));
}

std::string Trim::encode() const {
  Map map = {{"first_kept", first_kept}};
  if (first_run != 0) map.emplace_back("first_run", std::uint64_t{first_run});
  if (setup_done) map.emplace_back("setup_done", setup_done);
  return cbor::encode(std::move(map));
}

std::optional<Trim> Trim::decode(std::string_view body) {
  Reader reader(body);
  const Trim trim{.first_kept = reader.u64("first_kept"),
                  .first_run = reader.has("first_run") ? reader.u32("first_run") : 0,
                  .setup_done = reader.flag("setup_done")};
  return if_ok(reader, trim);
}

}  // namespace cellar::journal
