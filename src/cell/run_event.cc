#include "cell/run_event.h"

#include <algorithm>
#include <cctype>

#include "json/json.h"

namespace cellar::cell {
namespace {

struct Named {
  std::string type;
  json::Value data;
  std::optional<RunEvent::Missing> missing;
};

void put_value(Named& named, std::string_view key, journal::Payload value) {
  named.data.as_object().set(std::string(key),
                             value.blob ? json::Value() : json::parse(value.bytes));
  if (value.blob) named.missing = {std::string(key), std::move(value)};
}

RunEvent bare_event(const journal::Record& record) {
  RunEvent event;
  event.seq = record.lsn;
  event.at = from_unix_ms(static_cast<std::int64_t>(record.t_ns / 1'000'000));
  return event;
}

Named of_step_start(const journal::Record& record, const journal::StepStart& start) {
  return {start.occ > 1 ? "reset" : "step.started",
          json::object({{"ordinal", record.ordinal},
                        {"name", start.name},
                        {"kind", start.kind},
                        {"execution", start.occ}}),
          {}};
}

constexpr std::string_view kRedacted = "redacted: the step is sensitive";
constexpr std::size_t kClassLengthMax = 64;

// {ordinal, name, kind} of the step that a record is about.
json::Value step_data(const journal::Record& record, const Run& run) {
  json::Value data = json::object({{"ordinal", record.ordinal}});
  const auto step = run.steps.find(record.ordinal);
  if (step != run.steps.end()) {
    data.as_object().set("name", step->second.name);
    data.as_object().set("kind", step->second.kind);
    if (step->second.sensitive) data.as_object().set("sensitive", "output");
  }
  return data;
}

Named of_failed_attempt(const journal::Record& record, const journal::StepAttemptFailed& failed,
                        const Run& run) {
  json::Value data = step_data(record, run);
  data.as_object().set("attempt", failed.attempt);
  data.as_object().set("error", json::parse(failed.error));
  data.as_object().set("next_at", failed.next_at_ns / 1'000'000);
  return {"step.retry", std::move(data), {}};
}

Named of_step_end(const journal::Record& record, journal::StepEnd end, const Run& run) {
  Named named{"step.completed", step_data(record, run), {}};
  named.data.as_object().set("ok", end.ok);
  if (end.ok) return named;
  if (end.sealed) end.value = {.bytes = redacted_error("{}"), .blob = std::nullopt};
  put_value(named, "error", std::move(end.value));
  return named;
}

Named of_rollback(journal::Value mark) {
  Named named{"run.rollback", json::object({{"reason", mark.name}}), {}};
  put_value(named, "error", std::move(mark.value));
  return named;
}

Named of_end(journal::RunEnded ended) {
  Named named{"run." + ended.status, json::object({}), {}};
  put_value(named, ended.status == "completed" ? "result" : "error", std::move(ended.value));
  return named;
}

bool is_of_method(const journal::Event& event) {
  return event.type == "stream" || event.type == "log";
}

std::optional<Named> named_of(const journal::Record& record, const Run& run) {
  using journal::Type;
  std::optional<Named> named;
  switch (record.type) {
    case Type::run_created:
      named = Named{"run.started", json::object({{"run", run.id}, {"method", run.method}}), {}};
      break;
    case Type::run_attempt:
      if (const auto body = journal::RunAttempt::decode(record.body); body && body->n > 1) {
        named =
            Named{"run.attempt", json::object({{"attempt", body->n}, {"cause", body->cause}}), {}};
      }
      break;
    case Type::step_start:
      if (const auto body = journal::StepStart::decode(record.body)) {
        named = of_step_start(record, *body);
      }
      break;
    case Type::step_end:
      if (auto body = journal::StepEnd::decode(record.body)) {
        named = of_step_end(record, *std::move(body), run);
      }
      break;
    case Type::step_attempt_failed:
      if (const auto body = journal::StepAttemptFailed::decode(record.body)) {
        named = of_failed_attempt(record, *body, run);
      }
      break;
    case Type::step_interrupted:
      if (const auto body = journal::StepInterrupted::decode(record.body)) {
        json::Value data = step_data(record, run);
        data.as_object().set("execution", body->attempt);
        data.as_object().set("cause", body->cause);
        named = Named{"step.interrupted", std::move(data), {}};
      }
      break;
    case Type::progress:
      if (const auto body = journal::Progress::decode(record.body)) {
        json::Value data = step_data(record, run);
        data.as_object().set("progress",
                             body->sealed ? json::Value(kRedacted) : json::parse(body->value));
        named = Named{"step.progress", std::move(data), {}};
      }
      break;
    case Type::value:
      if (auto body = journal::Value::decode(record.body); body && body->kind == kRollback) {
        named = of_rollback(*std::move(body));
      }
      break;
    case Type::paused:
      if (const auto body = journal::Paused::decode(record.body)) {
        json::Value data = json::object({{"reason", body->reason}});
        if (!body->detail.empty()) data.as_object().set("detail", json::parse(body->detail));
        named = Named{"run.paused", std::move(data), {}};
      }
      break;
    case Type::resumed:
      named = Named{"run.resumed", json::object({}), {}};
      break;
    case Type::run_ended:
      if (auto body = journal::RunEnded::decode(record.body)) named = of_end(*std::move(body));
      break;
    default:
      break;
  }
  return named;
}

}  // namespace

std::string redacted_error(const std::string& error) {
  const json::Value given = json::parse(error);
  const json::Value* found = given.find("name");
  std::string name = found != nullptr && found->is_string() ? found->as_string() : "";
  const bool is_class =
      name.ends_with("Error") && name.size() <= kClassLengthMax &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalpha(c); });
  if (!is_class) name = "Error";
  return json::dump(json::object({{"name", name}, {"message", kRedacted}, {"code", "sensitive"}}));
}

std::optional<RunEvent> cell_event_of(const journal::Record& record) {
  if (record.run != 0 || record.type != journal::Type::event) return std::nullopt;
  auto body = journal::Event::decode(record.body);
  if (!body) return std::nullopt;
  RunEvent event = bare_event(record);
  event.type = std::move(body->type);
  event.data = std::move(body->data);
  return event;
}

void complete(RunEvent& event, const std::string& bytes) {
  json::Value data = json::parse(event.data);
  data.as_object().set(event.missing->key, json::parse(bytes));
  event.data = json::dump(data);
  event.missing.reset();
}

std::optional<RunEvent> event_of(const journal::Record& record, const Run& run) {
  RunEvent event = bare_event(record);
  if (record.type == journal::Type::event) {
    auto body = journal::Event::decode(record.body);
    if (!body) return std::nullopt;
    event.step = record.ordinal == 0 ? body->step : is_of_method(*body) ? 0 : record.ordinal;
    event.type = std::move(body->type);
    event.data = std::move(body->data);
    return event;
  }
  std::optional<Named> named = named_of(record, run);
  if (!named) return std::nullopt;
  event.type = std::move(named->type);
  event.data = json::dump(named->data);
  event.missing = std::move(named->missing);
  return event;
}

bool is_last(const RunEvent& event) noexcept {
  return event.type == "run.completed" || event.type == "run.failed" ||
         event.type == "run.cancelled";
}

}  // namespace cellar::cell
