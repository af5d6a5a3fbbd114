// What the agent says, frame by frame (docs/internals/agent-protocol.md).

#include <algorithm>
#include <utility>

#include "async/aside.h"
#include "base/fault.h"
#include "base/text.h"
#include "cell/frame_check.h"
#include "cell/layout.h"
#include "cell/run_event.h"
#include "cell/runner_parts.h"

namespace cellar::cell {

namespace {

constexpr std::size_t kEventBytesMax = 1 << 20;  // of ctx.stream and ctx.log

bool changes_database(std::string_view op) noexcept {
  return op == "db.set" || op == "db.delete" || op == "journal.step" || op == "journal.clear" ||
         op == "search.index" || op == "search.remove";
}

// Whether what it says comes after something that waits for room.
bool is_behind(const std::deque<std::shared_ptr<const AgentFrame>>& held, const AgentFrame& frame) {
  const std::uint32_t ordinal = ordinal_of(frame);
  return std::any_of(held.begin(), held.end(), [&](const auto& other) {
    const std::uint32_t earlier = ordinal_of(*other);
    return earlier != 0 && earlier <= ordinal;
  });
}

}  // namespace

asio::awaitable<void> Runner::handle(AgentProcess& agent, AgentFrame frame) {
  const std::string type = text_of(frame.header, "t");
  if (type == "hello" || type == "pong" || type == "room") {
    agent.heard_from();
    if (type == "room" && &agent == agent_.get()) on_room(frame);
    co_return;
  }
  if (const auto trial = trials_.find(text_of(frame.header, "run")); trial != trials_.end()) {
    on_trial(*trial->second, frame);
    co_return;
  }
  // Ours, too: it may be paused, and let go of, while its frame is handled.
  const std::shared_ptr<Active> active = find_active(text_of(frame.header, "run"));
  const bool is_call = type == "call";
  const bool is_meant = active && active->serves(frame) && &agent == agent_.get();
  if (!is_meant) {
    // It was forgotten meanwhile, and learns of it once its process waits for nothing else.
    // Its code may never come to know, in an endless loop: this is no sign of life.
    if (is_call || flag_of(frame.header, "sync")) let_go(agent, text_of(frame.header, "run"));
    note_late_step(frame);
    co_return;
  }
  agent.heard_from();
  if (type == "suspended") {
    on_suspended(*active, frame);
    co_return;
  }
  active->heard_at = std::chrono::steady_clock::now();
  // Steps that were begun have a place: their ends, above all, wait behind nothing but what their
  // code may have been told before they began.
  if (!active->held.empty() && (!is_of_step(frame) || is_behind(active->held, frame))) {
    co_await hold(agent, active, std::move(frame));
    co_return;
  }
  const bool is_full = !co_await is_handled(agent, *active, frame);
  if (is_full) co_await hold(agent, active, std::move(frame));
}

namespace {

journal::StepStart start_of(const Run& run, const AgentFrame& frame) {
  journal::StepStart start;
  start.kind = text_of(frame.header, "k");
  start.name = text_of(frame.header, "n");
  start.args_fp = text_of(frame.header, "fp");
  const auto before = run.steps.find(ordinal_of(frame));
  start.occ = before == run.steps.end() ? 1 : before->second.executed + 1;
  start.policy = flag_of(frame.header, "begins") ? "begin" : text_of(frame.header, "pol");
  start.sensitive = text_of(frame.header, "sens") == "output";
  return start;
}

bool asks_too_much(const Run& run, const AgentFrame& frame) {
  const std::string type = text_of(frame.header, "t");
  const bool is_noted = type == "cmd" || type == "value" || type == "call";  // With its name.
  const unsigned times = type == kRollback || run.rollback != 0 ? kRollbackTimes : 1;
  return ordinal_of(frame) > run.base + times * kOrdinalsMax ||
         (is_noted && run.noted_bytes > times * kNotedBytesMax);
}

}  // namespace

// A step that the agent has begun before it heard that its run is paused counts as interrupted, as
// all that was under way.
void Runner::note_late_step(const AgentFrame& frame) {
  const Run* run = runs_.find(text_of(frame.header, "run"));
  const bool is_paused = run != nullptr && run->status == RunStatus::paused &&
                         number_of(frame.header, "a") == run->attempt;
  const bool is_begun =
      text_of(frame.header, "t") == "cmd" && is_of_step(frame) && ordinal_of(frame) != 0;
  if (!is_paused || !is_begun || asks_too_much(*run, frame)) return;
  check_frame(*run, frame);
  journal_.append(run->number, ordinal_of(frame), start_of(*run, frame));
  journal_.sync_later();
}

// False where there is no room for it, and nothing of it was done.
asio::awaitable<bool> Runner::is_handled(AgentProcess& agent, Active& active,
                                         const AgentFrame& frame) {
  try {
    co_await handle_served(agent, active, frame);
    co_return true;
  } catch (const Error& error) {
    if (error.reason() != "journal_full") throw;
    co_return false;
  }
}

asio::awaitable<void> Runner::handle_served(AgentProcess& agent, Active& active,
                                            const AgentFrame& frame) {
  const std::string type = text_of(frame.header, "t");
  const bool is_call = type == "call";
  check_frame(active.run, frame);
  if (asks_too_much(active.run, frame)) {
    co_await pause_for_length(active);
    if (is_call || flag_of(frame.header, "sync")) let_go(agent, active.run.id);
  } else if (is_call) {
    co_await on_call(agent, active, frame);
  } else if (type == "cmd") {
    co_await on_command(agent, active, frame);
  } else if (type == "failed") {
    co_await on_attempt_failed(active, frame);
  } else if (type == "progress") {
    co_await on_progress(active, frame);
  } else if (type == "done") {
    co_await on_done(active, frame);
  } else if (type == "value" || type == "setup.done") {
    co_await on_value(active, frame);
  } else if (type == "event") {
    co_await on_event(active, frame);
  } else if (type == "end") {
    co_await on_end(active, frame);
  } else if (type == kRollback) {
    co_await on_rollback(active, frame);
  } else if (type == "continue") {
    co_await on_continue(active, frame);
  } else if (type == "mismatch") {
    co_await on_mismatch(active, frame);
  } else {
    throw Error(ErrorCode::internal, "it sent a frame of unknown type \"" + type + "\"");
  }
}

// Ends a synchronous command of a run that the agent has nothing to do with any more. Only one that
// is cancelled tells its code so: of a run that is paused, or goes on elsewhere, nothing settles.
void Runner::let_go(AgentProcess& agent, const std::string& run_id) {
  const Run* run = runs_.find(run_id);
  const bool is_left = run != nullptr && !run->cancel_requested && run->rollback == 0;
  json::Value header = json::object({{"t", "result"}, {"ok", false}});
  if (is_left) header.as_object().set("left", true);
  agent.reply(header, error_json("CancelledError", "the run goes on elsewhere", "canceled"));
}

Runner::HostCall Runner::call_of(const Active& active) const {
  HostCall call;
  call.owner = active_.at(active.run.number);
  call.attempt = active.run.attempt;
  call.rolls_back = active.run.rollback != 0;
  return call;
}

asio::awaitable<void> Runner::on_command(AgentProcess& agent, Active& active,
                                         const AgentFrame& frame) {
  const std::uint32_t ordinal = ordinal_of(frame);
  const std::string kind = text_of(frame.header, "k");
  if (is_wait(kind)) {
    co_await on_wait(active, frame, kind);
    co_return;
  }
  if (kind == "spawn" && ordinal == 0) {
    throw Error(ErrorCode::internal, "it begins a run inside a step");
  }
  const bool is_llm = kind == "llm";
  if (is_llm && co_await is_llm_settled(active, ordinal)) co_return;
  fault_point("step.before_start");
  // A step with no policy is executed already, unless it asks: room for it was kept.
  const bool is_ours = kind == "shell" || kind == "spawn" || is_llm;
  bool is_refused = false;
  if (is_ours || awaits_word(frame)) {
    const std::uint64_t bytes = text_of(frame.header, "n").size();
    const bool is_room = co_await may_begin(bytes);
    is_refused = !is_room;
    if (is_refused) co_await require_refusable(active, bytes);
    if (!active.serves(frame)) {
      if (flag_of(frame.header, "sync")) let_go(agent, active.run.id);
      co_return;
    }
  }
  if (ordinal != 0) {
    journal_.append(active.run.number, ordinal, start_of(active.run, frame));
    fault_point("step.started");
    if (!is_ours && !is_refused && awaits_disk(frame)) {
      say_begun(active.run, ordinal, "step.before_began");
    } else {
      journal_.sync_later();  // The end of a short step comes with its start in one write.
      const bool is_asked = !is_ours && awaits_word(frame);
      if (is_asked && is_refused) say_refused(active.run, ordinal);
      if (is_asked && !is_refused) say_may_begin(active.run, ordinal);
    }
  }
  if (!is_ours) co_return;
  HostCall call = call_of(active);
  call.ordinal = ordinal;
  call.tag = number_of(frame.header, "x");
  call.step = count_of(frame.header, "in");
  call.turn = count_of(frame.header, "try");
  call.synchronous = flag_of(frame.header, "sync");
  call.sensitive = text_of(frame.header, "sens") == "output";
  call.request = frame.body;
  call.keeps = flag_of(frame.header, "keeps");
  if (is_refused) {
    std::string error = journal_full_error("the command was not begun");
    if (ordinal != 0) co_await append_step_end(active, ordinal, Outcome::failed(error));
    answer(agent_, call, Outcome::failed(std::move(error)));
    co_return;
  }
  if (kind == "spawn") co_return tasks_.spawn(run_spawn(agent_, std::move(call)));
  if (is_llm) co_return tasks_.spawn(run_llm(std::move(call)));
  if (call.synchronous) ++synchronous_calls_;
  tasks_.spawn(run_shell(agent_, std::move(call)));
}

// What must not be done twice begins once that it does is on disk.
void Runner::say_begun(const Run& run, std::uint32_t ordinal, const char* fault) {
  json::Value began = frame_for(run, "began");
  began.as_object().set("o", ordinal);
  journal_.when_durable([agent = agent_, began = std::move(began), fault] {
    fault_point(fault);
    agent->send(began, {});
  });
}

// What may be done twice needs a place only.
void Runner::say_may_begin(const Run& run, std::uint32_t ordinal) {
  json::Value began = frame_for(run, "began");
  began.as_object().set("o", ordinal);
  agent_->send(began, {});
}

// Nothing of it was executed; it ends with this error, as the agent says then.
void Runner::say_refused(const Run& run, std::uint32_t ordinal) {
  json::Value refused = frame_for(run, "refused");
  refused.as_object().set("o", ordinal);
  agent_->send(refused, journal_full_error("the step was not begun"));
}

// A century: no clock overflows.
constexpr std::int64_t kDelayMsMax = 100LL * 365 * 86'400'000;

asio::awaitable<void> Runner::on_attempt_failed(Active& active, const AgentFrame& frame) {
  journal::StepAttemptFailed failed;
  failed.attempt = count_of(frame.header, "n");
  failed.error = checked_error(frame.body);
  if (is_sensitive(active.run, ordinal_of(frame))) failed.error = redacted_error(failed.error);
  const std::chrono::milliseconds delay(
      std::clamp<std::int64_t>(number_of(frame.header, "delay"), 0, kDelayMsMax));
  failed.next_at_ns = static_cast<std::uint64_t>(to_unix_ms(wall_now() + delay)) * 1'000'000;
  const bool is_room = co_await takes(failed.error.size());
  if (!active.serves(frame)) co_return;
  // The next attempt begins once this one is on disk; without room for that a crash adds attempts.
  if (!is_room) co_return say_may_begin(active.run, ordinal_of(frame));
  journal_.append(active.run.number, ordinal_of(frame), failed);
  fault_point("step.attempt_failed");
  say_begun(active.run, ordinal_of(frame), "step.before_began");
}

asio::awaitable<void> Runner::on_progress(Active& active, const AgentFrame& frame) {
  if (frame.body.size() > journal::kInlineBytesMax) {
    throw Error(ErrorCode::too_large, "it sent a progress of more than 64 KiB");
  }
  journal::Progress progress;
  progress.value = json::dump(json::parse(frame.body));
  progress.turn = count_of(frame.header, "try");
  if (is_sensitive(active.run, ordinal_of(frame))) {
    progress.sealed = true;
    progress.value = to_base64(host_.seal_value(progress.value));
  }
  const bool is_room = co_await takes(progress.value.size());
  if (!active.serves(frame)) co_return;
  if (is_room) journal_.append(active.run.number, ordinal_of(frame), progress);
  HostCall call = call_of(active);
  call.tag = number_of(frame.header, "x");
  answer(agent_, call, is_room ? Outcome() : Outcome::failed(journal_full_error("it is not kept")));
}

asio::awaitable<void> Runner::run_shell(std::shared_ptr<AgentProcess> agent, HostCall call) {
  const std::uint32_t number = call.owner->run.number;
  const auto printed = std::make_shared<Printed>(number, call.ordinal, executor_);
  printed->attempt = call.attempt;
  OnOutput on_output = [this, printed, step = call.step, turn = call.turn](std::string_view stream,
                                                                           std::string_view bytes) {
    journal::Event event;
    event.type = stream;
    event.step = step;
    event.turn = turn;
    event.data = json::dump(output_json(bytes));
    take_output(printed, std::move(event));
  };
  if (call.sensitive) on_output = nullptr;
  bool is_lost = false;
  Outcome outcome;
  if (call.keeps) co_await journal_.sync();
  try {
    // What is cancelled already does not begin; a kill from here on misses nothing of it.
    const bool is_wanted = agent_ == agent && !call.is_left() && !call.is_cancelled();
    if (is_wanted) {
      outcome.value = co_await host_.shell(number, std::move(call.request), on_output);
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    // The second: what killed the domain met it while it was made.
    is_lost = error.reason() == "domain_lost" || error.reason() == "sandbox_failed";
    outcome = Outcome::failed(error_json(error));
  }
  co_await all_given(printed);
  if (call.synchronous) --synchronous_calls_;
  if (agent_ != agent) co_return;
  fault_point("shell.ended");
  Active& owner = *call.owner;
  if (call.is_left()) {
    if (call.synchronous) let_go(*agent, owner.run.id);
    co_return;
  }
  if (call.is_cancelled()) {
    // What the kill left of it is no result.
    outcome = Outcome::failed(error_json("CancelledError", "the run was cancelled", "canceled"));
  } else if (is_lost) {  // No end that the agent may build on: as after any crash, it runs again.
    stop_agent("shell_lost");
    co_return;
  } else if (call.ordinal != 0) {
    const StepFate fate = co_await append_step_end(owner, call.ordinal, outcome);
    if (fate == StepFate::too_late) {
      if (call.synchronous && agent_ == agent) let_go(*agent, owner.run.id);
      co_return;
    }
    if (fate == StepFate::not_kept) outcome = Outcome::failed(not_kept_error());
  }
  answer(std::move(agent), call, std::move(outcome));
}

// Results reach the agent in the order of their records, so that a replay can give them alike.
void Runner::answer(std::shared_ptr<AgentProcess> agent, const HostCall& call, Outcome outcome) {
  json::Value header = frame_for(call.owner->run, "result");
  header.as_object().set("o", call.ordinal);
  header.as_object().set("x", call.tag);
  header.as_object().set("ok", outcome.ok);
  if (call.owner->run.undoes && !call.rolls_back) {
    header.as_object().set("rollback", json::object({{"grace", grace_ms(*call.owner)}}));
  }
  auto send = [agent = std::move(agent), synchronous = call.synchronous, header = std::move(header),
               result = std::move(outcome.value)]() mutable {
    fault_point("result.before_sent");
    if (synchronous) {
      agent->reply(header, std::move(result));
    } else {
      agent->send(header, std::move(result));
    }
    fault_point("result.sent");
  };
  journal_.when_durable(std::move(send));
}

bool Runner::is_sensitive(const Run& run, std::uint32_t ordinal) {
  const auto step = run.steps.find(ordinal);
  return step != run.steps.end() && step->second.sensitive;
}

asio::awaitable<std::string> Runner::sealed(std::string value) {
  if (value.size() <= journal::kInlineBytesMax) co_return host_.seal_value(value);
  auto seal = [this, value = std::move(value)] { return host_.seal_value(value); };
  co_return co_await async::offload(journal_.pool(), std::move(seal));
}

asio::awaitable<void> Runner::on_done(Active& active, const AgentFrame& frame) {
  const std::uint32_t ordinal = ordinal_of(frame);
  fault_point("step.done");
  Outcome outcome{.ok = flag_of(frame.header, "ok")};
  outcome.value = outcome.ok ? frame.body : checked_error(frame.body);
  if (text_of(frame.header, "c") == "typed") outcome.codec = "typed";
  const Shown how = is_sensitive(active.run, ordinal) ? Shown::sealed : Shown::plainly;
  const StepFate fate = co_await append_step_end(active, ordinal, std::move(outcome), how);
  if (fate == StepFate::too_late) co_return;
  const bool is_kept = fate == StepFate::kept;
  json::Value ack = frame_for(active.run, "ack");
  ack.as_object().set("o", ordinal);
  if (!is_kept) ack.as_object().set("ok", false);
  std::string error = is_kept ? std::string() : not_kept_error();
  journal_.when_durable([this, agent = agent_, ack = std::move(ack), error = std::move(error)] {
    if (agent == agent_) tell_room();  // Before it may begin another one.
    fault_point("step.before_ack");
    agent->hold(ack, error);
  });
}

asio::awaitable<Runner::MadeEnd> Runner::make_step_end(Outcome outcome, Shown how) {
  journal::StepEnd end;
  end.ok = outcome.ok;
  end.codec = std::move(outcome.codec);
  end.sealed = how == Shown::sealed;
  std::string value = std::move(outcome.value);
  if (end.sealed) value = co_await sealed(std::move(value));
  const bool is_owed = value.size() <= kOwedValueBytes;  // Its place was kept since it began.
  if (is_owed) end.value.bytes = std::move(value);
  const bool is_kept = is_owed || co_await is_stored(std::move(value), end.value);
  if (is_kept) co_return MadeEnd{.record = std::move(end)};
  MadeEnd full{.is_kept = false};
  full.record.value.bytes = not_kept_error();
  co_return full;
}

asio::awaitable<Runner::StepFate> Runner::append_step_end(Active& active, std::uint32_t ordinal,
                                                          Outcome outcome, Shown how) {
  const std::uint32_t attempt = active.run.attempt;
  const MadeEnd end = co_await make_step_end(std::move(outcome), how);
  // A pause, or the end of the agent, has made an interruption of it.
  // So has what ends it otherwise, a wait's time say; or its ordinal is none of this generation's.
  if (!active.serves(attempt) || !active.run.open.contains(ordinal)) co_return StepFate::too_late;
  fault_point("step.before_end");
  journal_.append(active.run.number, ordinal, end.record);
  fault_point("step.ended");
  co_return end.is_kept ? StepFate::kept : StepFate::not_kept;
}

asio::awaitable<void> Runner::on_value(Active& active, const AgentFrame& frame) {
  journal::Value value;
  const bool is_setup = text_of(frame.header, "t") == "setup.done";
  value.kind = is_setup ? "setup" : text_of(frame.header, "k");
  value.name = text_of(frame.header, "n");
  value.args_fp = text_of(frame.header, "fp");
  value.value = co_await store(is_setup ? std::string("null") : frame.body);
  if (!active.serves(frame)) co_return;  // A pause meanwhile, or another attempt comes to it again.
  // Not synced by itself: what of this journal depends on it is later in it, and what else does
  // (the body of a step, a command, a file) says that it `keeps` what was said before.
  fault_point("value.before_written");
  journal_.append(active.run.number, ordinal_of(frame), value);
  if (is_setup) settled_.set();  // Runs that wait for it begin.
}

asio::awaitable<std::optional<store::CallPlace>> Runner::place_of(Active& active,
                                                                  const AgentFrame& frame) {
  const std::string op = text_of(frame.header, "op");
  if (ordinal_of(frame) == 0 || !changes_database(op)) co_return std::nullopt;
  if (active.calls.size() >= kUnsyncedCallsMax) co_await journal_.sync();
  while (!active.calls.empty() && active.calls.front().record <= journal_.last_durable()) {
    active.kept_to = active.calls.front().ordinal;
    active.calls.pop_front();
  }
  store::CallPlace place;
  place.run = active.run.number;
  place.ordinal = ordinal_of(frame);
  // Another version of the agent, or a rollback, may call something else there.
  place.what = active.run.id + (active.run.rollback != 0 ? " rollback " : " ") + op + " " +
               text_of(frame.header, "fp");
  place.kept_to = active.kept_to;
  if (placed_calls_++ % kCallsBetweenLooks != 0) co_return place;
  for (const Run* run : runs_.newest_first()) {
    if (!is_terminal(run->status)) place.going.push_back(run->number);
  }
  std::reverse(place.going.begin(), place.going.end());
  co_return place;
}

// The call that only waits until all that its run has said is on disk.
constexpr const char* kSync = "journal.sync";

asio::awaitable<void> Runner::on_call(AgentProcess& agent, Active& active,
                                      const AgentFrame& frame) {
  const bool is_room = ordinal_of(frame) == 0 || co_await may_begin(0);
  if (!is_room && active.run.rollback != 0) journal_.throw_full();
  ++synchronous_calls_;
  bool is_change = false;
  bool ok = true;
  std::string result = "null";
  const std::string op = text_of(frame.header, "op");
  try {
    if (!is_room) journal_.throw_full();
    if (op == kSync || flag_of(frame.header, "keeps")) co_await journal_.sync();
    std::optional<store::CallPlace> place = co_await place_of(active, frame);
    is_change = place.has_value();
    if (op != kSync) result = co_await host_.call(op, frame.body, std::move(place));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    ok = false;
    result = error_json(error);
  }
  --synchronous_calls_;
  fault_point("call.done");
  const std::uint32_t ordinal = ordinal_of(frame);
  // The journal has its answer from here on; until then the database gives it again.
  if (ok && ordinal != 0 && active.serves(frame)) {
    journal::Value value;
    value.kind = op;
    value.name = text_of(frame.header, "n");
    value.args_fp = text_of(frame.header, "fp");
    ok = co_await is_stored(result, value.value);
    if (!ok) result = not_kept_error();
    // Paused meanwhile, say: its next attempt makes the call again.
    const bool is_kept = ok && active.serves(frame);
    const journal::Lsn record = is_kept ? journal_.append(active.run.number, ordinal, value) : 0;
    if (is_kept && is_change) active.calls.push_back({.ordinal = ordinal, .record = record});
  }
  const json::Value answer = json::object({{"ok", ok}});
  fault_point("call.before_answer");
  agent.reply(answer, std::move(result));
}

asio::awaitable<void> Runner::on_event(Active& active, const AgentFrame& frame) {
  if (frame.body.size() > kEventBytesMax) {
    throw Error(ErrorCode::too_large, "it sent an event of more than 1 MiB");
  }
  const std::uint32_t ordinal = ordinal_of(frame);
  journal::Event event;
  event.type = text_of(frame.header, "type") == "log" ? "log" : "stream";
  auto in_one_line = [&frame] { return json::dump(json::parse(frame.body)); };
  event.data = co_await async::work_aside(journal_.pool(), frame.body.size(), in_one_line);
  event.step = count_of(frame.header, "in");
  event.turn = count_of(frame.header, "try");
  const bool is_room = co_await takes(event.data.size());
  if (!active.serves(frame)) co_return;
  if (!is_room && ordinal == 0) co_return;  // Sent inside a step.
  if (!is_room) journal_.throw_full();
  journal_.append(active.run.number, ordinal, event);
  journal_.sync_soon();
}

}  // namespace cellar::cell
