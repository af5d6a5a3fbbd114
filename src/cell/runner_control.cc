// What people ask of a run: cancel, pause, resume, and what they decide about its steps.

#include <algorithm>
#include <utility>

#include "async/sleep.h"
#include "base/fault.h"
#include "cell/runner_parts.h"

namespace cellar::cell {

// ---- cancel and resume ----

namespace {

// A cancel, and the end that follows.
constexpr std::uint64_t kCancelBytes = 1024;

}  // namespace

asio::awaitable<void> Runner::cancel(std::uint32_t number, Cancel how) {
  co_await to_end(cancel_now(number, how));
}

std::vector<Run*> Runner::to_cancel(std::uint32_t number, Cancel how) {
  std::vector<Run*> all{runs_.find(number)};
  require_open_run(*all.front());
  if (how.undoes && all.front()->ends_at_once()) {
    throw Error(ErrorCode::conflict, "cancelled_already",
                "run " + all.front()->id + " is cancelled without rollback already");
  }
  std::vector<Run*> seen = all;  // Also those that have ended: what they have begun may go on.
  for (std::size_t at = 0; at < seen.size(); ++at) {
    for (Run* child : runs_.children_of(*seen[at])) {
      seen.push_back(child);
      const bool goes_back = child->undoes && child->status != RunStatus::paused;
      const bool is_known = child->ends_at_once() || (how.undoes && goes_back);
      if (!is_terminal(child->status) && !is_known) all.push_back(child);
    }
  }
  return all;
}

// None of them is left out, whatever crashes.
asio::awaitable<void> Runner::cancel_now(std::uint32_t number, Cancel how) {
  std::vector<Run*> all = to_cancel(number, how);
  // The end of one that nobody works on, or that was asked for before, is owed nothing.
  const auto is_extra = [this](const Run* run) {
    return !is_active(run->number) || run->cancel_requested;
  };
  const auto extra = static_cast<std::uint64_t>(std::count_if(all.begin(), all.end(), is_extra));
  if (extra > 0) {
    co_await require_room(extra * kCancelBytes);
    all = to_cancel(number, how);
  }
  journal_.require_takes(2 * kBareRecordBytes * all.size());
  fault_point("cancel.before_written");
  journal::CancelRequested requested;
  requested.rollback = how.undoes;
  for (const Run* run : all) {
    const bool is_asleep = run->status == RunStatus::paused && !is_active(run->number);
    journal_.append(run->number, 0, requested);
    if (how.undoes && is_asleep) journal_.append(run->number, 0, journal::Resumed());
  }
  co_await journal_.sync();
  fault_point("cancel.durable");
  for (Run* run : all) {
    // Paused, perhaps in the same write: nobody works on it, so one who does ends it at once.
    if (!is_terminal(run->status) && !is_active(run->number)) {
      const bool is_left = how.undoes && run->status == RunStatus::paused;
      const auto own = add_active(*run);
      tasks_.spawn(is_left ? let_go_on_soon(own) : drive(own, "cancel"));
    }
    const auto active = find_active(run->number);  // It may have ended at once.
    if (active) act_on_cancel(active, how);
  }
}

std::int64_t Runner::grace_ms(const Active& active) const {
  return active.grace.value_or(config_.cancel_grace).count();
}

void Runner::act_on_cancel(const std::shared_ptr<Active>& active, const Cancel& how) {
  active->grace = how.grace;
  active->undoes_after_pause = how.undoes && active->is_pausing;
  if (how.undoes) active->suspended = false;
  active->changed.set();
  tasks_.spawn(end_after_grace(active, how));
  if (how.undoes && active->run.rollback != 0) return;  // It does so already.
  host_.kill_commands(active->run.number);
  end_llm_calls(active->run.number);
  if (!active->in_agent || !agent_) return;
  json::Value header = frame_for(active->run, "cancel");
  if (how.undoes) {
    header.as_object().set("rollback", json::object({{"grace", grace_ms(*active)}}));
  }
  agent_->send(header, {});
}

// An agent that does not let go of a cancelled run within the grace time is ended; its other runs
// go on with another attempt. So is one whose code keeps the process from beginning to roll back,
// where that code was in the process when it was asked: another attempt begins, and replays, first.
asio::awaitable<void> Runner::end_after_grace(std::shared_ptr<Active> active, Cancel how) {
  const std::chrono::milliseconds grace = how.grace.value_or(config_.cancel_grace);
  const std::optional<std::uint32_t> attempt =
      active->in_agent ? std::optional(active->run.attempt) : std::nullopt;
  co_await async::sleep_for(how.undoes ? grace + config_.cancel_grace : grace);
  const bool is_same = attempt == active->run.attempt;
  const bool goes_on =
      how.undoes && (!is_same || active->run.rollback != 0 || active->run.ends_at_once());
  // What has let go in time, and is on its way to the disk, is in nobody's way.
  if (active->is_served() && !goes_on) stop_agent("cancel");
}

asio::awaitable<void> Runner::pause(std::uint32_t number, Pause why) {
  co_await to_end(pause_now(number, std::move(why)));
}

asio::awaitable<void> Runner::pause_now(std::uint32_t number, Pause why) {
  Run* run = runs_.find(number);
  const auto ending = find_active(number);
  if (ending && ending->is_ending) co_await settled(number);
  require_open_run(*run);
  std::shared_ptr<Active> active = find_active(number);
  const bool is_driven = active != nullptr;  // Not in a cell that was found frozen.
  if (run->status == RunStatus::paused || (is_driven && active->is_pausing)) {
    throw Error(ErrorCode::conflict, "run_paused", "run " + run->id + " is paused already");
  }
  if (!is_driven) {
    journal_.require_takes(bytes_of_records(why.detail, 1));
    active = add_active(*run);
  }
  co_await pause_run(*active, std::move(why.reason), std::move(why.detail));
  if (!is_driven) co_await drive(active, "pause");
}

// ---- steps that must not simply be executed again ----

namespace {

std::string interrupted_error(const Step& step, const std::string& what_then) {
  return error_json("StepInterruptedError",
                    "step \"" + step.name + "\" was interrupted" + what_then, "step_interrupted");
}

}  // namespace

asio::awaitable<bool> Runner::settle_interrupted(Active& active, const std::string& cause) {
  for (const auto& [ordinal, step] : active.run.steps) {
    if (!step.is_interrupted() || active.run.leaves(step)) continue;
    if (step.policy == "fail") {
      std::string error = interrupted_error(step, " (" + cause + "), and is not executed again");
      const MadeEnd end =  // Before the other: both are written together.
          co_await make_step_end(Outcome::failed(std::move(error)));
      journal_.require_takes(bytes_of_records(end.record.value.bytes, 2));
      fault_point("interrupted.before_written");
      append_interrupted(active.run, step, cause);
      fault_point("step.before_end");
      journal_.append(active.run.number, ordinal, end.record);
      fault_point("step.ended");
    } else if (step.policy == "ask") {
      const json::Value detail =
          json::object({{"message", "step \"" + step.name + "\" was interrupted (" + cause +
                                        "): whether what it does was done is not known"},
                        {"ordinal", ordinal},
                        {"name", step.name},
                        {"executed", step.executed}});
      co_await pause_run(active, std::string(kAmbiguousStep), json::dump(detail));
      co_return true;
    }
  }
  co_return false;
}

void Runner::append_interrupted(const Run& run, const Step& step, const std::string& cause) {
  journal::StepInterrupted interrupted;
  interrupted.attempt = step.executed;
  interrupted.cause = cause;
  journal_.append(run.number, step.ordinal, interrupted);
}

namespace {

// The step that a run is paused for, as what it did is not known; nullptr for none.
const Step* ambiguous_step(const Run& run) {
  const auto found = std::find_if(run.steps.begin(), run.steps.end(), [&run](const auto& entry) {
    const Step& step = entry.second;
    return step.policy == "ask" && step.is_interrupted() && !run.leaves(step);
  });
  return found == run.steps.end() ? nullptr : &found->second;
}

[[noreturn]] void throw_outdated(const Run& run) {
  throw Error(ErrorCode::conflict, "decision_outdated",
              "run " + run.id + " is not paused for that execution of that step (any more)",
              "see its \"detail\", and decide about what it names");
}

void require_meant(const Run& run, const Decision& decision) {
  const Step* step = ambiguous_step(run);
  const bool is_meant = step != nullptr &&
                        decision.ordinal.value_or(step->ordinal) == step->ordinal &&
                        decision.executed.value_or(step->executed) == step->executed;
  if (!is_meant) throw_outdated(run);
}

}  // namespace

// What the step gets that somebody has decided about. A value that cannot be kept is refused: it is
// theirs, and nothing was done.
asio::awaitable<journal::StepEnd> Runner::make_decided(const Step& step, Decision decision) {
  Outcome outcome = decision.kind == Decision::Kind::value
                        ? Outcome::gave(std::move(decision.value))
                        : Outcome::failed(interrupted_error(step, ", and given up"));
  const Shown how = outcome.ok && step.sensitive ? Shown::sealed : Shown::plainly;
  MadeEnd end = co_await make_step_end(std::move(outcome), how);
  if (!end.is_kept) journal_.throw_full();
  co_return std::move(end.record);
}

asio::awaitable<void> Runner::resume(std::uint32_t number, std::optional<Decision> decision) {
  co_await to_end(resume_now(number, std::move(decision)));
}

// The run, once its pause is on disk. Throws Error `conflict` where it is not paused.
asio::awaitable<Run*> Runner::paused_run(std::uint32_t number) {
  Run* run = runs_.find(number);
  // Its pause is on its way to the disk still. Somebody else may let it go on as soon as it is
  // there.
  while (run->status == RunStatus::paused && is_active(number)) {
    if (tasks_.is_closed()) throw Error(ErrorCode::canceled, "the cell is closed");
    settled_.reset();
    co_await settled_.wait();
  }
  if (run->status != RunStatus::paused || is_active(number)) {
    const RunStatus status = run->shown_status();
    throw Error(ErrorCode::conflict, "run_not_paused",
                "run " + run->id + " is " + std::string(to_string(status)) + ", not paused",
                is_terminal(status) ? "begin it again with restart"
                : status == RunStatus::waiting
                    ? "what it waits for lets it go on; pause it first to upgrade it"
                    : "it goes on by itself; pause it first to upgrade it");
  }
  co_return run;
}

asio::awaitable<Run*> Runner::resumable_run(std::uint32_t number) {
  for (;;) {
    Run* run = co_await paused_run(number);
    // Somebody may be faster.
    const auto is_moot = [&] { return run->status != RunStatus::paused || is_active(number); };
    co_await await_begin(0, run->setup, run, is_moot);
    if (is_moot()) continue;
    require_room_for_run();
    co_return run;
  }
}

asio::awaitable<void> Runner::resume_now(std::uint32_t number, std::optional<Decision> decision) {
  const Run& known = *runs_.find(number);
  const bool names_step = decision && (decision->ordinal || decision->executed);
  if (names_step && known.status != RunStatus::paused) throw_outdated(known);
  Run* run = co_await resumable_run(number);
  const bool is_ambiguous = run->reason == kAmbiguousStep;
  if (is_ambiguous && !decision) {
    throw Error(
        ErrorCode::conflict, "decision_needed",
        "run " + run->id + " is paused for a step that may or may not have been done",
        "send {\"step\": {\"decision\": \"retry\"}}, or \"fail\", or \"value\" with a value");
  }
  if (!is_ambiguous && names_step) throw_outdated(*run);
  if (!is_ambiguous && decision) {
    throw Error(ErrorCode::conflict, "no_decision_needed",
                "run " + run->id + " is paused for another reason: " + run->reason,
                "send no \"step\"");
  }
  if (!decision) {
    journal_.require_takes(kBareRecordBytes);
    co_return co_await let_go_on(add_active(*run));
  }
  require_meant(*run, *decision);
  const Step step = *ambiguous_step(*run);
  decision->ordinal = step.ordinal;  // Somebody else may decide while its value is stored.
  decision->executed = step.executed;
  const journal::StepEnd end = co_await make_decided(step, *decision);
  run = co_await resumable_run(number);
  require_meant(*run, *decision);
  journal_.require_takes(bytes_of_records(end.value.bytes, 3));
  fault_point("decision.before_written");
  append_interrupted(*run, step, "decided");
  if (decision->kind != Decision::Kind::retry) journal_.append(number, step.ordinal, end);
  co_await let_go_on(add_active(*run));  // All of it in one write.
}

asio::awaitable<void> Runner::let_go_on_soon(std::shared_ptr<Active> active) {
  co_await journal_.room();
  co_await let_go_on(std::move(active));
}

asio::awaitable<void> Runner::let_go_on(std::shared_ptr<Active> active) {
  const Run& run = active->run;
  journal::Resumed resumed;
  resumed.skips_setup = run.setup && run.steps.empty() && runs_.setup_done();
  fault_point("resume.before_written");
  journal_.append(run.number, 0, resumed);
  tasks_.spawn(drive(std::move(active), "resume"));
  co_await journal_.sync();
  fault_point("resume.durable");
}

asio::awaitable<void> Runner::upgrade(std::uint32_t number, AgentVersion version) {
  co_await to_end(upgrade_now(number, std::move(version)));
}

asio::awaitable<void> Runner::upgrade_now(std::uint32_t number, AgentVersion version) {
  Run* run = co_await paused_run(number);
  std::uint32_t tried = 0;
  do {  // It may go on, and be paused again, meanwhile.
    tried = run->attempt;
    (co_await try_with(*run, version)).require_ok();
    run = co_await resumable_run(number);
  } while (run->attempt != tried);
  journal::Upgraded upgraded;
  upgraded.agent_digest = std::move(version.digest);
  journal_.require_takes(2 * kBareRecordBytes);
  fault_point("upgrade.before_written");
  journal_.append(number, 0, upgraded);
  co_await let_go_on(add_active(*run));
}

}  // namespace cellar::cell
