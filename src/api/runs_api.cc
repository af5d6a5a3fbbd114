// Runs and their events.

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "api/api.h"
#include "api/event_pages.h"
#include "api/heartbeat.h"
#include "api/views.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

constexpr std::int64_t kRunsMax = 1000;

// What a run was given and what came of it: texts that may be large.
struct RunTexts {
  std::string params;
  std::string outcome_name;  // empty: it goes on
  std::string outcome;
};

// Retention may remove it once the caller waits for anything without an activity of the cell.
const cell::Run& run_in(const Call& call, cell::Cell& cell) {
  const std::string& id = call.params.at("run");
  const cell::Run* run = cell.runs().find(id);
  if (run == nullptr && cell.runs().is_trimmed(id)) {
    throw Error(ErrorCode::not_found, "run_removed",
                "run " + id + " of cell " + cell.spec().cell_id +
                    " is not kept any more: it ended longer ago than its \"run_retention_s\"",
                "keep what you need of a run when it ends, or let the cell keep runs longer");
  }
  if (run == nullptr) {
    throw Error(ErrorCode::not_found, "run_not_found",
                "cell " + cell.spec().cell_id + " has no run \"" + id + "\"");
  }
  return *run;
}

// Reads what the run ended with, where it has ended and that is not there yet.
asio::awaitable<void> read_outcome(cell::Cell& cell, std::shared_ptr<const cell::Run> run,
                                   RunTexts& texts) {
  if (run->ended == 0 || !texts.outcome_name.empty()) co_return;
  texts.outcome_name = run->status == cell::RunStatus::completed ? "result" : "error";
  texts.outcome = co_await cell.journal().value_of(run->ended);
}

// Of a run with many steps others have their turn meanwhile. Where it has become another one then
// (it has ended, was paused, continued), the steps are told anew: they go with what it is.
asio::awaitable<StepsJson> steps_of(std::shared_ptr<const cell::Run> run, cell::View view) {
  const auto look = [&run] {
    return std::make_tuple(run->status, run->generation, run->rollback, run->undoes);
  };
  StepsJson steps;
  auto before = look();
  while (add_steps(steps, *run, view)) {
    co_await asio::post(asio::use_awaitable);
    if (look() == before) continue;
    before = look();
    steps = StepsJson();
  }
  co_return steps;
}

// What is told of runs is on disk: what was read of it just now may be on its way there.
asio::awaitable<void> wait_until_durable(cell::Cell& cell) {
  cell.journal().require_place();
  co_await cell.journal().sync();
}

journal::Lsn where_params_are(const cell::Run& run) noexcept {
  return run.continued != 0 ? run.continued : run.created;
}

// Where it goes on meanwhile, those of before may be gone.
asio::awaitable<std::string> params_of(cell::Cell& cell, std::shared_ptr<const cell::Run> run,
                                       journal::Lsn& at) {
  for (;;) {
    at = where_params_are(*run);
    try {
      co_return co_await cell.journal().value_of(at);
    } catch (const Error&) {
      if (at == where_params_are(*run)) throw;
    }
  }
}

asio::awaitable<void> answer_run(const Call& call, cell::Cell& cell, const cell::Run& run,
                                 int status = 200, cell::View view = cell::View::live) {
  // Retention may remove it from here on: what is in the journal is read before its steps.
  const std::shared_ptr<const cell::Run> held = run.shared_from_this();
  RunTexts texts;
  journal::Lsn params = 0;
  texts.params = co_await params_of(cell, held, params);
  co_await read_outcome(cell, held, texts);
  StepsJson steps = co_await steps_of(held, view);
  json::Value answer = run_detail_json(*held);
  answer.as_object().set("steps", std::move(steps.list));
  if (where_params_are(*held) != params) {
    texts.params = co_await params_of(cell, held, params);  // They go with its steps.
  }
  co_await read_outcome(cell, held, texts);  // It may have ended meanwhile.
  co_await wait_until_durable(cell);
  const std::size_t size =
      texts.params.size() + texts.outcome.size() + held->detail.size() + steps.text_bytes;
  auto dump = [answer = std::move(answer), texts = std::move(texts)]() mutable {
    answer.as_object().set("params", json::parse(texts.params));
    if (!texts.outcome_name.empty()) {
      answer.as_object().set(texts.outcome_name, json::parse(texts.outcome));
    }
    return json::dump(answer);
  };
  std::string text = co_await call.work_on(size, std::move(dump));
  co_await call.answer_text(std::move(text), status);
}

// Each run is looked through for the steps that it has done: others have their turn meanwhile.
asio::awaitable<json::Array> list_of(std::vector<std::shared_ptr<const cell::Run>> page) {
  constexpr std::size_t kStepsAtOnce = 10'000;
  constexpr std::size_t kStepsOfAnyRun = 100;  // All else of a run takes as long.
  json::Array runs;
  std::size_t step_count = 0;
  for (const auto& run : page) {
    runs.push_back(run_json(*run));
    step_count += kStepsOfAnyRun + run->steps.size();
    if (step_count < kStepsAtOnce) continue;
    step_count = 0;
    co_await asio::post(asio::use_awaitable);
  }
  co_return runs;
}

asio::awaitable<void> list_runs(const Call& call) {
  const auto cell = call.cell();
  const auto limit = static_cast<std::size_t>(call.query_int("limit", 1, kRunsMax).value_or(100));
  const std::string cursor = call.exchange.request().query_value("cursor").value_or("");
  std::vector<std::shared_ptr<const cell::Run>> page;
  std::string next;
  bool reached = cursor.empty();
  for (const cell::Run* run : cell->runs().newest_first()) {
    if (!reached) {
      reached = run->id == cursor;
      continue;
    }
    if (page.size() == limit) {
      next = page.back()->id;
      break;
    }
    page.push_back(run->shared_from_this());
  }
  // What would follow one that is removed meanwhile is older, and gone as well.
  if (!reached && !cell->runs().is_trimmed(cursor)) {
    throw Error(ErrorCode::invalid_argument, "invalid_cursor", "\"cursor\" names no run",
                "begin again without it");
  }
  json::Array runs = co_await list_of(std::move(page));
  json::Value answer = json::object({{"runs", std::move(runs)}});
  if (!next.empty()) answer.as_object().set("next_cursor", next);
  co_await wait_until_durable(*cell);
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> get(const Call& call) {
  const auto cell = call.cell();
  co_await answer_run(call, *cell, run_in(call, *cell), 200, call.view());
}

// {"method", "params"?}: begins a run and does not wait for it.
asio::awaitable<void> start(const Call& call) {
  const auto cell = call.cell();
  MethodCall asked = co_await call.read_body(kBodyMax, read_method_call);
  std::string method = checked_name("method", std::move(asked.method));
  auto key = call.idempotency_key();
  const auto activity = co_await cell->use("request", method);
  const cell::Runner::Started started =
      co_await cell->start_run(std::move(method), std::move(asked.params), std::move(key));
  co_await answer_run(call, *cell, *cell->runs().find(started.id), started.is_new ? 202 : 200);
}

// Waits until the run settles, for at most `timeout` seconds.
asio::awaitable<void> await_run(const Call& call) {
  constexpr std::int64_t kTimeoutMax = 3600;
  constexpr std::int64_t kTimeoutDefault = 30;
  const auto cell = call.cell();
  const cell::Run& run = run_in(call, *cell);
  const cell::View view = call.view();
  const std::chrono::seconds timeout(
      call.query_int("timeout", 0, kTimeoutMax).value_or(kTimeoutDefault));
  const auto activity = cell->watch("request", "await " + run.id);
  co_await cell->runner().settled(run.number, timeout);
  co_await answer_run(call, *cell, run, 200, view);
}

asio::awaitable<void> pause(const Call& call) {
  const auto cell = call.cell();
  const std::uint32_t number = run_in(call, *cell).number;
  const auto activity = cell->watch("request", "pause a run");
  cell::Runner::Pause by_its_owner;
  co_await cell->runner().pause(number, std::move(by_its_owner));
  co_await answer_run(call, *cell, run_in(call, *cell));
}

// {"grace_ms"?, "rollback"?}, or nothing at all.
asio::awaitable<void> cancel(const Call& call) {
  constexpr std::int64_t kGraceMsMax = 600'000;
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const std::uint32_t number = run_in(call, *cell).number;
  const json::Reader body(value, "the body");
  cell::Runner::Cancel how;
  if (const auto ms = body.optional_int("grace_ms", 0, kGraceMsMax)) {
    how.grace = std::chrono::milliseconds(*ms);
  }
  how.undoes = body.optional_bool("rollback").value_or(false);
  body.refuse_unknown();
  const auto activity = cell->watch("request", "cancel");
  // A run of a cell that has no processes ends without any; its rollback wakes the cell itself.
  if (cell->state() != cell::State::hibernated) co_await cell->resume();
  co_await cell->runner().cancel(number, how);
  co_await cell->runner().settled(number);
  co_await answer_run(call, *cell, run_in(call, *cell));
}

std::optional<cell::Decision> decision_of(const json::Reader& body) {
  const auto step = body.optional_object("step");
  if (!step) return std::nullopt;
  cell::Decision decision;
  const std::string kind = step->required_string("decision");
  if (kind == "value") {
    decision.kind = cell::Decision::Kind::value;
    decision.value = step->required_json("value");
  } else if (kind == "fail") {
    decision.kind = cell::Decision::Kind::fail;
  } else if (kind != "retry") {
    json::Reader::refuse("step.decision", "retry, fail or value");
  }
  if (const auto ordinal = step->optional_int("ordinal", 1, UINT32_MAX)) {
    decision.ordinal = static_cast<std::uint32_t>(*ordinal);
  }
  if (const auto executed = step->optional_int("executed", 1, UINT32_MAX)) {
    decision.executed = static_cast<std::uint32_t>(*executed);
  }
  step->refuse_unknown();
  return decision;
}

cell::AgentVersion version_of_today(const cell::Cell& cell) {
  return {.digest = cell.spec().agent_digest, .language = cell.spec().agent_language};
}

struct Resumption {
  std::optional<cell::Decision> decision;
  bool upgrades = false;
};

Resumption read_resumption(const json::Value& value) {
  const json::Reader body(value, "the body");
  Resumption how;
  how.decision = decision_of(body);
  how.upgrades = body.optional_bool("upgrade").value_or(false);
  body.refuse_unknown();
  if (how.upgrades && how.decision) {
    json::Reader::refuse("upgrade", "left out where there is a \"step\"");
  }
  return how;
}

// {"step": {"decision": "retry" | "fail" | "value", "value"?, "ordinal"?, "executed"?}},
// {"upgrade": true}, or nothing.
asio::awaitable<void> resume(const Call& call) {
  const auto cell = call.cell();
  run_in(call, *cell);  // What is not there is told before what is wrong.
  Resumption how = co_await call.read_body(kBodyMax, read_resumption);
  const std::uint32_t number = run_in(call, *cell).number;
  const auto activity = co_await cell->use("request", "resume a run");
  if (how.upgrades) {
    co_await cell->runner().upgrade(number, version_of_today(*cell));
  } else {
    co_await cell->runner().resume(number, std::move(how.decision));
  }
  co_await answer_run(call, *cell, run_in(call, *cell));
}

struct Replayed {
  std::optional<std::string> source;
  std::optional<cell::AgentLanguage> language;
};

Replayed read_replayed(const json::Value& value) {
  const json::Reader body(value, "the body");
  Replayed replayed{.source = body.optional_string("agent")};
  if (const auto language = body.optional_string("agent_language")) {
    replayed.language = cell::parse_agent_language(*language);
  }
  body.refuse_unknown();
  return replayed;
}

// {"agent"?, "agent_language"?}: tries the run with that source, in the run's language where none
// is said, or with the cell's agent of today.
asio::awaitable<void> replay(const Call& call) {
  const auto cell = call.cell();
  run_in(call, *cell);  // Likewise.
  Replayed replayed = co_await call.read_body(kBodyMax, read_replayed);
  const std::uint32_t number = run_in(call, *cell).number;
  const auto activity = co_await cell->use("request", "replay a run");
  cell::AgentVersion version = version_of_today(*cell);
  if (replayed.source) {
    const cell::AgentLanguage own = run_in(call, *cell).agent_language;
    version.language = replayed.language.value_or(own);
    // Of another language it is not tried, and said to be so.
    if (version.language == own) {
      version = co_await cell->versions().keep(own, *std::move(replayed.source));
    }
  }
  const auto trial = co_await cell->runner().try_version(number, version);
  json::Value answer = json::object({{"ok", trial.ok},
                                     {"matched", trial.matched},
                                     {"agent_digest", version.digest},
                                     {"detail", json::parse(trial.detail)}});
  co_await call.answer(std::move(answer));
}

std::optional<cell::StepName> step_in(const json::Reader& body) {
  const json::Value* from = body.optional_value("from");
  if (from == nullptr) return std::nullopt;
  if (from->is_string()) return from->as_string();
  const bool is_ordinal = from->is_int() && from->as_int() > 0 && from->as_int() <= UINT32_MAX;
  if (!is_ordinal) json::Reader::refuse("from", "the name of a step, or its ordinal");
  return static_cast<std::uint32_t>(from->as_int());
}

// {"from"? | "from_end"?, "upgrade"?}: begins a run with what this one had recorded before this
// step, with all of it, or with nothing; on its version, or on the cell's agent of today. Once for
// each Idempotency-Key.
asio::awaitable<void> restart(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const std::uint32_t number = run_in(call, *cell).number;
  const json::Reader body(value, "the body");
  cell::Runner::Restart how{.idempotency_key = call.idempotency_key()};
  if (auto step = step_in(body)) how.from = *std::move(step);
  if (body.optional_bool("from_end").value_or(false)) {
    if (how.from) json::Reader::refuse("from_end", "left out where there is a \"from\"");
    how.from = cell::Runner::RecordEnd();
  }
  const bool upgrades = body.optional_bool("upgrade").value_or(false);
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "restart a run");
  if (upgrades) how.version = version_of_today(*cell);
  const cell::Runner::Started started = co_await cell->runner().restart(number, std::move(how));
  co_await answer_run(call, *cell, *cell->runs().find(started.id), started.is_new ? 202 : 200);
}

// {"id"?, "type", "payload"?}
asio::awaitable<void> send_event(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const std::uint32_t number = run_in(call, *cell).number;
  const json::Reader body(value, "the body");
  std::string type = checked_name("type", body.required_string("type"));
  const auto given = body.optional_string("id");
  std::string id = given ? checked_name("id", *given) : "evt_" + random_hex(8);
  std::string payload = body.optional_json("payload", "null");
  body.refuse_unknown();
  const auto activity = cell->watch("request", "an event for a run");
  const bool is_new =
      co_await cell->runner().receive_event(number, id, std::move(type), std::move(payload));
  json::Value answer = json::object({{"id", id}, {"duplicate", !is_new}});
  co_await call.answer(std::move(answer));
}

// {"approved", "step"?, "by"?, "comment"?}
asio::awaitable<void> approve(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const std::uint32_t number = run_in(call, *cell).number;
  const json::Reader body(value, "the body");
  json::Value answer = json::object({{"approved", body.required_bool("approved")}});
  for (const char* key : {"by", "comment"}) {
    if (const auto text = body.optional_string(key)) answer.as_object().set(key, *text);
  }
  answer.as_object().set("at", to_unix_ms(wall_now()));
  std::string step = body.optional_string("step").value_or("");
  body.refuse_unknown();
  const auto activity = cell->watch("request", "an approval for a run");
  co_await cell->runner().answer_approval(number, std::move(step), json::dump(answer));
  co_await answer_run(call, *cell, run_in(call, *cell));
}

asio::awaitable<void> stream(const Call& call) {
  const auto cell = call.cell();
  const cell::Run& run = run_in(call, *cell);
  journal::Lsn after = call.events_after().value_or(0);
  require_event(after, cell->journal());
  const cell::CellJournal::Look look{.view = call.view()};
  const auto activity = cell->watch("stream", run.id);
  http::Response head = event_stream_head();
  head.body = "retry: 1000\n\n";
  co_await call.exchange.start_stream(std::move(head));
  Heartbeat heartbeat(call);
  for (bool last = false; !last;) {
    const journal::Lsn durable = cell->journal().last_durable();
    auto events = co_await cell->journal().events(run, after, look);
    after = events.seen;
    std::string text;
    for (cell::RunEvent& event : events.list) {
      append_event_text(text, event);
      last = last || cell::is_last(event);
      std::string().swap(event.data);  // It may be large, and its client slow.
    }
    // Somebody who has it all already: nothing will follow.
    if (events.list.empty() && !events.more && cell::is_terminal(run.status) &&
        run.ended <= after) {
      last = true;
    }
    if (last) text += kEndComment;
    if (!text.empty()) co_await heartbeat.send(std::move(text));
    if (last) break;
    bool has_news = events.more;
    if (!has_news) has_news = co_await cell->journal().advanced(durable, heartbeat.left());
    if (heartbeat.is_due(has_news)) co_await heartbeat.beat();
  }
  co_await call.exchange.finish();
}

}  // namespace

std::vector<Route> run_routes() {
  return {{"GET", "/api/v1/cells/{id}/runs", list_runs},
          {"POST", "/api/v1/cells/{id}/runs", start},
          {"GET", "/api/v1/cells/{id}/runs/{run}", get},
          {"GET", "/api/v1/cells/{id}/runs/{run}/await", await_run},
          {"POST", "/api/v1/cells/{id}/runs/{run}/pause", pause},
          {"GET", "/api/v1/cells/{id}/runs/{run}/events", stream},
          {"POST", "/api/v1/cells/{id}/runs/{run}/events", send_event},
          {"POST", "/api/v1/cells/{id}/runs/{run}/approve", approve},
          {"POST", "/api/v1/cells/{id}/runs/{run}/cancel", cancel},
          {"POST", "/api/v1/cells/{id}/runs/{run}/resume", resume},
          {"POST", "/api/v1/cells/{id}/runs/{run}/replay", replay},
          {"POST", "/api/v1/cells/{id}/runs/{run}/restart", restart}};
}

}  // namespace cellar::api
