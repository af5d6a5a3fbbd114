// How runs end in the agent: with a result or an error, rolled back, continued, paused.

#include <utility>

#include "async/aside.h"
#include "base/fault.h"
#include "cell/mismatch.h"
#include "cell/runner_parts.h"

namespace cellar::cell {

namespace {

// The error that a run ends with whose result, or state, cannot be read again; empty where it can.
std::string problem_of_json(std::string_view what, const std::string& text) {
  try {
    json::parse(text);
    return {};
  } catch (const Error& error) {
    return error_json("Error", std::string(what) + " cannot be kept: " + error.what(),
                      "not_serialisable");
  }
}

}  // namespace

asio::awaitable<void> Runner::on_end(Active& active, const AgentFrame& frame) {
  const bool ok = flag_of(frame.header, "ok");
  const json::Value* rolled = frame.header.find("rolled");
  const bool is_undone = rolled == nullptr || !rolled->is_bool() || rolled->as_bool();
  // Whatever its method makes of it: a cancel that is on the disk comes before any end that is not.
  const auto is_canceled = [&] { return active.run.cancel_requested && is_undone; };
  std::string value = !ok ? checked_error(frame.body) : is_canceled() ? "null" : frame.body;
  std::string problem;
  if (ok && !is_canceled()) {
    auto look = [&frame] { return problem_of_json("what the method returned", frame.body); };
    problem = co_await async::work_aside(journal_.pool(), frame.body.size(), look);
  }
  const bool completed = ok && problem.empty();
  if (!problem.empty()) value = std::move(problem);
  journal::Payload stored = co_await store(std::move(value));
  if (!active.serves(frame)) co_return;  // Paused meanwhile: it comes to this end again.
  if (ok && active.run.undoes && active.run.rollback == 0) {  // Cancelled before it was told.
    active.leave_agent("cancel");
    co_return;
  }
  if (ok && is_canceled()) co_return co_await end_cancelled(active);
  const char* status = is_canceled() ? "cancelled" : completed ? "completed" : "failed";
  co_await end_run(active, status, std::move(stored));
}

namespace {

std::string second_rollback(const Run& run, std::uint32_t ordinal) {
  const auto place = [](std::uint32_t at) { return "the one at " + std::to_string(at); };
  const json::Value expected =
      json::object({{"k", kRollback}, {"n", place(run.rollback)}, {"fp", ""}});
  const json::Value got = json::object({{"k", kRollback}, {"n", place(ordinal)}, {"fp", ""}});
  const json::Value detail =
      json::object({{"expected", expected}, {"got", got}, {"matched", json::Array()}});
  return explain_mismatch(json::dump(detail), ordinal);
}

}  // namespace

// From here on only rollbacks are executed: what its method had going is left.
asio::awaitable<void> Runner::on_rollback(Active& active, const AgentFrame& frame) {
  journal::Value mark;
  mark.kind = kRollback;
  mark.name = text_of(frame.header, "n");
  mark.value = co_await store(checked_error(frame.body));
  if (!active.serves(frame)) co_return;  // Paused meanwhile.
  const std::uint32_t ordinal = ordinal_of(frame);
  if (active.run.rollback != 0) {
    co_await pause_run(active, "replay_mismatch", second_rollback(active.run, ordinal));
    co_return;
  }
  fault_point("rollback.before_written");
  journal_.append(active.run.number, ordinal, mark);
  fault_point("rollback.begun");
  say_begun(active.run, ordinal, "rollback.before_began");
  host_.kill_commands(active.run.number);
  end_llm_calls(active.run.number);
}

asio::awaitable<void> Runner::on_mismatch(Active& active, const AgentFrame& frame) {
  std::string detail = explain_mismatch(checked_error(frame.body), ordinal_of(frame));
  co_await pause_run(active, "replay_mismatch", std::move(detail));
}

namespace {

// With the params that it began with.
journal::Carried carried_of(const Run& run, journal::Payload params) {
  journal::Carried carried;
  carried.run_id = run.id;
  carried.method = run.method;
  carried.value = std::move(params);
  set_version(carried, {.digest = run.agent_digest, .language = run.agent_language});
  carried.idem_key = run.idempotency_key;
  carried.started_ns = static_cast<std::uint64_t>(to_unix_ms(run.started_at)) * 1'000'000;
  carried.attempt = run.attempt;
  carried.generation = run.generation;
  carried.llm_tokens = run.llm_tokens;
  carried.forked_run = run.forked.run_id;
  carried.forked_ordinal = run.forked.ordinal;
  carried.known_events = run.events_to_carry();
  return carried;
}

}  // namespace

// The run goes on in another attempt, which knows nothing of what is behind it.
asio::awaitable<void> Runner::on_continue(Active& active, const AgentFrame& frame) {
  auto look = [&frame] { return problem_of_json("what the run goes on with", frame.body); };
  std::string problem = co_await async::work_aside(journal_.pool(), frame.body.size(), look);
  const bool is_state = problem.empty();
  journal::Continued continued;
  continued.value = co_await store(is_state ? frame.body : std::move(problem));
  if (!active.serves(frame)) co_return;  // Paused meanwhile.
  if (!is_state) co_return co_await end_run(active, "failed", std::move(continued.value));
  journal::Payload params = journal_.payload_at(active.run.created);
  if (!params.blob) params = co_await store(std::move(params.bytes));
  const std::uint64_t bytes = bytes_of_records(params.bytes, 1) +
                              bytes_of_records(continued.value.bytes, 1) +
                              kEventIdsCarried * kEventDigestBytes;
  co_await require_room(bytes);
  if (!active.serves(frame)) co_return;  // Paused meanwhile.
  journal_.require_takes(bytes);
  // Cancelled meanwhile: there is nothing to undo in another generation.
  active.leave_agent(active.run.cancel_requested ? "cancel" : "continue");
  if (active.run.cancel_requested) co_return;
  fault_point("continue.before_written");
  journal_.append(active.run.number, 0, carried_of(active.run, std::move(params)));
  journal_.append(active.run.number, ordinal_of(frame), continued);
  fault_point("continue.written");
  end_llm_calls(active.run.number);  // Their ordinals are none of the new generation's.
  host_.generation_ended();
}

asio::awaitable<void> Runner::pause_for_length(Active& active) {
  const Error error(
      ErrorCode::exhausted, "run_too_long",
      "the run has asked for " + std::to_string(kOrdinalsMax) +
          " things, streamed events among them, or their names and what it waits for take 32 MiB",
      "cancel it; let its method go on with ctx.continueAs(state) now and then, "
      "or stream inside of steps");
  co_await pause_run(active, error.reason(), pause_json(error));
}

asio::awaitable<void> Runner::end_run(Active& active, std::string status, journal::Payload value) {
  if (active.is_ending) co_return;
  journal::RunEnded ended;
  ended.status = std::move(status);
  ended.value = std::move(value);
  fault_point("run.before_end");
  journal_.append(active.run.number, 0, ended);
  fault_point("run.ended");
  active.is_ending = true;
  host_.kill_commands(active.run.number);  // What lost a race: its end is seen later.
  co_await journal_.sync();
  fault_point("run.end_durable");
  active.settled = true;
  active.changed.set();
  tell_parents(active.run);
}

asio::awaitable<void> Runner::end_cancelled(Active& active) {
  journal::Payload error;
  error.bytes = cancelled_error();
  co_await end_run(active, "cancelled", std::move(error));
}

// Not where it settles already: the first reason stays, and it may be under way again.
asio::awaitable<void> Runner::pause_run(Active& active, std::string reason, std::string detail) {
  if (active.is_settling()) co_return;
  journal::Paused paused;
  paused.reason = std::move(reason);
  paused.detail = std::move(detail);
  fault_point("pause.before_written");
  journal_.append(active.run.number, 0, paused);
  active.is_pausing = true;
  host_.kill_commands(active.run.number);
  if (active.in_agent && agent_) agent_->send(frame_for(active.run, "forget"), {});
  co_await journal_.sync();
  fault_point("pause.durable");
  active.settled = true;
  active.changed.set();
}

}  // namespace cellar::cell
