// What the agent says, frame by frame (docs/internals/agent-protocol.md).

#include <utility>

#include "async/sleep.h"
#include "base/log.h"
#include "base/text.h"
#include "cell/runner_parts.h"

namespace cellar::cell {

namespace {

// What the next execution of an open step goes on from.
void add_what_was_open(CellJournal& journal, const Step& step, json::Object& entry) {
  entry.set("started_at", to_unix_ms(step.started_at));
  if (step.failed_attempts != 0) entry.set("tries", step.failed_attempts);
  if (step.retry_at) entry.set("retry_at", to_unix_ms(*step.retry_at));
  if (step.progress != 0) {
    entry.set("progress", json::parse(journal.read<journal::Progress>(step.progress).value));
  }
}

}  // namespace

ReplayImage replay_image(CellJournal& journal, const Run& run) {
  ReplayImage image;
  const std::string params = journal.read<journal::RunCreated>(run.created).params;
  image.body = params;
  json::Array entries;
  for (const auto& [ordinal, step] : run.steps) {
    std::string value;
    if (step.outcome != 0) value = journal.read_value(step.outcome);
    json::Value entry = json::object({{"o", ordinal},
                                      {"k", step.kind},
                                      {"n", step.name},
                                      {"fp", step.args_fp},
                                      {"s", step.status == StepStatus::ok      ? "ok"
                                            : step.status == StepStatus::error ? "error"
                                                                               : "open"},
                                      {"at", step.begun},
                                      {"end", step.outcome == 0 ? step.begun : step.outcome},
                                      {"len", value.size()}});
    if (!step.codec.empty()) entry.as_object().set("c", step.codec);
    if (step.status == StepStatus::open) add_what_was_open(journal, step, entry.as_object());
    entries.push_back(std::move(entry));
    image.body += value;
  }
  const json::Value header = json::object({{"t", "run"},
                                           {"run", run.id},
                                           {"method", run.method},
                                           {"agent", "/data/versions/" + run.agent_digest + ".js"},
                                           {"setup", run.setup},
                                           {"attempt", run.attempt},
                                           {"params_len", params.size()},
                                           {"replay", std::move(entries)}});
  image.header = json::dump(header);
  return image;
}

namespace {

// Runs one of the agent's own coroutines, which needs it to stay.
asio::awaitable<void> keep(std::shared_ptr<AgentProcess> agent,
                           asio::awaitable<void> (AgentProcess::*work)()) {
  co_await ((*agent).*work)();
}

}  // namespace

// ---- the agent host ----

asio::awaitable<void> Runner::ensure_agent() {
  while (is_starting_) {
    starting_.reset();
    co_await starting_.wait();
  }
  if (agent_) co_return;
  is_starting_ = true;
  try {
    agent_ = co_await host_.start_agent();
  } catch (...) {
    is_starting_ = false;
    starting_.set();
    throw;
  }
  is_starting_ = false;
  agent_end_cause_.clear();
  tasks_.spawn(serve_agent(agent_));
  tasks_.spawn(watch_agent(agent_));
  tasks_.spawn(keep(agent_, &AgentProcess::write_queued));
  tasks_.spawn(keep(agent_, &AgentProcess::read_output));
  starting_.set();
}

asio::awaitable<void> Runner::serve_agent(std::shared_ptr<AgentProcess> agent) {
  for (;;) {
    std::optional<AgentFrame> frame = co_await agent->receive();
    if (!frame) break;
    try {
      co_await handle(*agent, std::move(*frame));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::error("agent host: {}; it is ended", error.what());
      agent->kill();
      break;
    }
  }
  const std::string own_end = co_await agent->wait_end();  // "agent_exit" or "oom"
  const std::string cause = agent_end_cause_.empty() ? own_end : agent_end_cause_;
  if (agent_ == agent) agent_.reset();
  log::debug("the agent host ended: {}", cause);
  for (auto& [number, active] : active_) {
    if (!active->in_agent) continue;
    active->in_agent = false;
    active->interruption = cause;
    active->changed.set();
  }
}

// Ends an agent host that is in an endless loop: one that leaves a ping unanswered while it has
// runs and no call of ours keeps it waiting.
asio::awaitable<void> Runner::watch_agent(std::shared_ptr<AgentProcess> agent) {
  while (agent_ == agent) {
    co_await async::sleep_for(config_.stall_timeout / 4);
    const bool expects_answer = synchronous_calls_ == 0 && !active_.empty() && host_.is_awake();
    if (!expects_answer) {
      agent->heard_from();
      continue;
    }
    if (agent->silent_for() >= config_.stall_timeout) {
      log::warning("the agent host answers nothing: it is ended");
      stop_agent("agent_stalled");
      co_return;
    }
    const json::Value ping = json::object({{"t", "ping"}, {"n", 0}});
    agent->send(ping, {});
  }
}

void Runner::stop_agent(const std::string& cause) {
  if (!agent_) return;
  agent_end_cause_ = cause;
  agent_->kill();
}

// ---- frames ----

asio::awaitable<void> Runner::handle(AgentProcess& agent, AgentFrame frame) {
  const std::string type = text_of(frame.header, "t");
  if (type == "hello" || type == "pong") co_return;
  // Ours, too: it may be paused, and let go of, while its frame is handled.
  const std::shared_ptr<Active> active = find_active(text_of(frame.header, "run"));
  if (type == "call") {
    co_await on_call(agent, active.get(), frame);
    co_return;
  }
  if (!active || !active->is_served()) {
    // It was forgotten meanwhile, and learns of it once its process waits for nothing else.
    if (flag_of(frame.header, "sync")) let_go(agent);
    co_return;
  }
  if (type == "suspended") {
    on_suspended(*active);
    co_return;
  }
  active->heard_at = std::chrono::steady_clock::now();
  if (type == "cmd") {
    co_await on_command(*active, frame);
  } else if (type == "failed") {
    on_attempt_failed(*active, frame);
  } else if (type == "progress") {
    on_progress(*active, frame);
  } else if (type == "done") {
    co_await on_done(*active, frame);
  } else if (type == "value" || type == "setup.done") {
    co_await on_value(*active, frame);
  } else if (type == "event") {
    on_event(*active, frame);
  } else if (type == "end") {
    co_await on_end(*active, frame);
  } else if (type == "mismatch") {
    co_await on_mismatch(*active, frame);
  } else {
    throw Error(ErrorCode::internal, "it sent a frame of unknown type \"" + type + "\"");
  }
}

// Ends a synchronous command of a run that the agent has nothing to do with any more.
void Runner::let_go(AgentProcess& agent) {
  const json::Value header = json::object({{"t", "result"}, {"ok", false}});
  agent.reply(header, error_json("CancelledError", "the run goes on elsewhere", "canceled"));
}

asio::awaitable<void> Runner::on_command(Active& active, const AgentFrame& frame) {
  const std::uint32_t ordinal = ordinal_of(frame);
  const std::string kind = text_of(frame.header, "k");
  if (is_wait(kind)) {
    on_wait(active, frame, kind);
    co_return;
  }
  if (ordinal != 0) {
    journal::StepStart start;
    start.kind = kind;
    start.name = text_of(frame.header, "n");
    start.args_fp = text_of(frame.header, "fp");
    const auto before = active.run.steps.find(ordinal);
    start.occ = before == active.run.steps.end() ? 1 : before->second.executed + 1;
    start.policy = text_of(frame.header, "pol");
    journal_.append(active.run.number, ordinal, start);
    if (start.policy.empty()) {
      journal_.sync_later();  // The end of a short step comes with its start in one write.
    } else {
      json::Value began = json::object({{"t", "began"}, {"run", active.run.id}, {"o", ordinal}});
      journal_.when_durable([agent = agent_, began = std::move(began)] { agent->send(began, {}); });
    }
  }
  if (kind != "shell" && kind != "spawn") co_return;
  ShellCall call;
  call.owner = active_.at(active.run.number);
  call.run = active.run.number;
  call.run_id = active.run.id;
  call.ordinal = ordinal;
  call.tag = number_of(frame.header, "x");
  call.synchronous = flag_of(frame.header, "sync");
  call.request = frame.body;
  if (kind == "spawn") {
    if (ordinal == 0) throw Error(ErrorCode::internal, "it begins a run inside a step");
    tasks_.spawn(run_spawn(agent_, std::move(call), active.run.agent_digest));
    co_return;
  }
  if (call.synchronous) ++synchronous_calls_;
  tasks_.spawn(run_shell(agent_, std::move(call)));
}

// A century: no clock overflows.
constexpr std::int64_t kDelayMsMax = 100LL * 365 * 86'400'000;

void Runner::on_attempt_failed(Active& active, const AgentFrame& frame) {
  journal::StepAttemptFailed failed;
  failed.attempt = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(number_of(frame.header, "n"), 0, 1 << 30));
  failed.error = json::dump(json::parse(frame.body));
  const std::chrono::milliseconds delay(
      std::clamp<std::int64_t>(number_of(frame.header, "delay"), 0, kDelayMsMax));
  failed.next_at_ns = static_cast<std::uint64_t>(to_unix_ms(wall_now() + delay)) * 1'000'000;
  journal_.append(active.run.number, ordinal_of(frame), failed);
  journal_.sync_soon();
}

void Runner::on_progress(Active& active, const AgentFrame& frame) {
  if (frame.body.size() > journal::kInlineBytesMax) {
    throw Error(ErrorCode::too_large, "it sent a progress of more than 64 KiB");
  }
  journal::Progress progress;
  progress.value = json::dump(json::parse(frame.body));
  journal_.append(active.run.number, ordinal_of(frame), progress);
  ShellCall call;
  call.run_id = active.run.id;
  call.tag = number_of(frame.header, "x");
  answer(agent_, call, true, "null");
}

asio::awaitable<void> Runner::run_shell(std::shared_ptr<AgentProcess> agent, ShellCall call) {
  auto on_output = [this, run = call.run, ordinal = call.ordinal](std::string_view stream,
                                                                  std::string_view bytes) {
    journal::Event event;
    event.type = stream;
    event.data = json::dump(is_valid_utf8(bytes) ? json::object({{"text", bytes}})
                                                 : json::object({{"b64", to_base64(bytes)}}));
    journal_.append(run, ordinal, event);
    journal_.sync_soon();
  };
  bool ok = true;
  bool is_lost = false;
  std::string result;
  try {
    result = co_await host_.shell(call.run, call.request, on_output);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    ok = false;
    is_lost = error.reason() == "domain_lost";
    result = error_json(error);
  }
  if (call.synchronous) --synchronous_calls_;
  if (agent_ != agent) co_return;
  const Active& owner = *call.owner;
  if (!owner.is_served()) {
    if (call.synchronous) let_go(*agent);
    co_return;
  }
  if (owner.run.cancel_requested) {  // What the kill left of it is no result.
    ok = false;
    result = error_json("CancelledError", "the run was cancelled", "canceled");
  } else if (is_lost) {  // No end that the agent may build on: as after any crash, it runs again.
    stop_agent("shell_lost");
    co_return;
  } else if (call.ordinal != 0) {
    co_await append_step_end(owner.run, call.ordinal, ok, result);
  }
  answer(std::move(agent), call, ok, std::move(result));
}

// Results reach the agent in the order of their records, so that a replay can give them alike.
void Runner::answer(std::shared_ptr<AgentProcess> agent, const ShellCall& call, bool ok,
                    std::string result) {
  json::Value header = json::object(
      {{"t", "result"}, {"run", call.run_id}, {"o", call.ordinal}, {"x", call.tag}, {"ok", ok}});
  auto send = [agent = std::move(agent), synchronous = call.synchronous, header = std::move(header),
               result = std::move(result)]() mutable {
    if (synchronous) {
      agent->reply(header, std::move(result));
    } else {
      agent->send(header, std::move(result));
    }
  };
  journal_.when_durable(std::move(send));
}

asio::awaitable<void> Runner::on_done(Active& active, const AgentFrame& frame) {
  const std::uint32_t ordinal = ordinal_of(frame);
  const bool is_typed = text_of(frame.header, "c") == "typed";
  co_await append_step_end(active.run, ordinal, flag_of(frame.header, "ok"), frame.body,
                           is_typed ? "typed" : "json");
  json::Value ack = json::object({{"t", "ack"}, {"run", active.run.id}, {"o", ordinal}});
  journal_.when_durable([agent = agent_, ack = std::move(ack)] { agent->send(ack, {}); });
}

asio::awaitable<void> Runner::append_step_end(const Run& run, std::uint32_t ordinal, bool ok,
                                              std::string value, std::string codec) {
  journal::StepEnd end;
  end.ok = ok;
  end.codec = std::move(codec);
  end.value = co_await journal_.store_value(std::move(value));
  journal_.append(run.number, ordinal, end);
}

asio::awaitable<void> Runner::on_value(Active& active, const AgentFrame& frame) {
  journal::Value value;
  const bool is_setup = text_of(frame.header, "t") == "setup.done";
  value.kind = is_setup ? "setup" : text_of(frame.header, "k");
  value.name = text_of(frame.header, "n");
  value.args_fp = text_of(frame.header, "fp");
  value.value = co_await journal_.store_value(is_setup ? std::string("null") : frame.body);
  // Not synced by itself: whatever depends on it is later in the same journal.
  journal_.append(active.run.number, ordinal_of(frame), value);
}

asio::awaitable<void> Runner::on_call(AgentProcess& agent, Active* active,
                                      const AgentFrame& frame) {
  ++synchronous_calls_;
  bool ok = true;
  std::string result;
  const std::string op = text_of(frame.header, "op");
  try {
    result = co_await host_.call(op, frame.body);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    ok = false;
    result = error_json(error);
  }
  --synchronous_calls_;
  const std::uint32_t ordinal = ordinal_of(frame);
  if (ok && ordinal != 0 && active != nullptr && active->in_agent) {
    journal::Value value;
    value.kind = op;
    value.name = text_of(frame.header, "n");
    value.args_fp = text_of(frame.header, "fp");
    value.value = co_await journal_.store_value(result);
    journal_.append(active->run.number, ordinal, value);
  }
  const json::Value answer = json::object({{"ok", ok}});
  agent.reply(answer, std::move(result));
}

void Runner::on_event(Active& active, const AgentFrame& frame) {
  journal::Event event;
  event.type = text_of(frame.header, "type") == "log" ? "log" : "stream";
  event.data = json::dump(json::parse(frame.body));  // One line, whatever was sent.
  journal_.append(active.run.number, ordinal_of(frame), event);
  journal_.sync_soon();
}

asio::awaitable<void> Runner::on_end(Active& active, const AgentFrame& frame) {
  const bool ok = flag_of(frame.header, "ok");
  const bool canceled = !ok && active.run.cancel_requested;
  co_await end_run(active, ok ? "completed" : canceled ? "cancelled" : "failed", frame.body);
}

asio::awaitable<void> Runner::on_mismatch(Active& active, const AgentFrame& frame) {
  co_await pause_run(active, "replay_mismatch", frame.body);
}

asio::awaitable<void> Runner::end_run(Active& active, std::string status, std::string value) {
  journal::RunEnded ended;
  ended.status = std::move(status);
  ended.value = co_await journal_.store_value(std::move(value));
  journal_.append(active.run.number, 0, ended);
  co_await journal_.sync();
  active.settled = true;
  active.changed.set();
  tell_parents(active.run);
}

asio::awaitable<void> Runner::pause_run(Active& active, std::string reason, std::string detail) {
  active.is_pausing = true;
  if (active.in_agent && agent_) {
    const json::Value forget = json::object({{"t", "forget"}, {"run", active.run.id}});
    agent_->send(forget, {});
  }
  journal::Paused paused;
  paused.reason = std::move(reason);
  paused.detail = std::move(detail);
  journal_.append(active.run.number, 0, paused);
  co_await journal_.sync();
  active.settled = true;
  active.changed.set();
}

// ---- cancel and resume ----

asio::awaitable<void> Runner::cancel(std::uint32_t number,
                                     std::optional<std::chrono::milliseconds> grace) {
  Run* run = runs_.find(number);
  require_open_run(*run);
  journal_.append(number, 0, journal::CancelRequested());
  // Paused: nobody works on it, so one who does ends it at once.
  if (!is_active(number)) tasks_.spawn(drive(add_active(*run), "cancel"));
  const auto found = active_.find(number);  // It may have ended at once.
  if (found != active_.end()) {
    tasks_.spawn(act_on_cancel(found->second, grace.value_or(config_.cancel_grace)));
  }
  for (Run* child : runs_.children_of(*run)) {
    if (!is_terminal(child->status) && !child->cancel_requested) {
      co_await cancel(child->number, grace);
    }
  }
  co_await journal_.sync();
}

asio::awaitable<void> Runner::act_on_cancel(std::shared_ptr<Active> active,
                                            std::chrono::milliseconds grace) {
  co_await journal_.sync();
  active->changed.set();
  tasks_.spawn(end_after_grace(active, grace));
  host_.kill_commands(active->run.number);
  if (active->in_agent && agent_) {
    const json::Value cancel = json::object({{"t", "cancel"}, {"run", active->run.id}});
    agent_->send(cancel, {});
  }
}

// An agent that does not let go of a cancelled run within the grace time is ended; its other runs
// go on with another attempt.
asio::awaitable<void> Runner::end_after_grace(std::shared_ptr<Active> active,
                                              std::chrono::milliseconds grace) {
  co_await async::sleep_for(grace);
  if (!active->settled && active->in_agent) stop_agent("cancel");
}

asio::awaitable<void> Runner::pause(std::uint32_t number) {
  Run* run = runs_.find(number);
  require_open_run(*run);
  const auto found = active_.find(number);
  if (run->status == RunStatus::paused || found == active_.end() || found->second->is_pausing) {
    throw Error(ErrorCode::conflict, "run_paused", "run " + run->id + " is paused already");
  }
  const std::shared_ptr<Active> active = found->second;
  co_await pause_run(*active, "user", std::string());
  host_.kill_commands(number);
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
    if (!step.is_interrupted()) continue;
    if (step.policy == "fail") {
      append_interrupted(active.run, step, cause);
      std::string error = interrupted_error(step, " (" + cause + "), and is not executed again");
      co_await append_step_end(active.run, ordinal, false, std::move(error));
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

// Appends what somebody has decided about the step that a run was paused for.
asio::awaitable<void> Runner::append_decision(const Run& run, const Decision& decision) {
  const auto found = std::find_if(run.steps.begin(), run.steps.end(), [](const auto& entry) {
    return entry.second.policy == "ask" && entry.second.is_interrupted();
  });
  if (found == run.steps.end()) co_return;
  const Step& step = found->second;
  append_interrupted(run, step, "decided");
  if (decision.kind == Decision::Kind::value) {
    co_await append_step_end(run, step.ordinal, true, decision.value);
  } else if (decision.kind == Decision::Kind::fail) {
    std::string error = interrupted_error(step, ", and given up");
    co_await append_step_end(run, step.ordinal, false, std::move(error));
  }
}

asio::awaitable<void> Runner::resume(std::uint32_t number, std::optional<Decision> decision) {
  Run* run = runs_.find(number);
  // Its pause is on its way to the disk still.
  if (run->status == RunStatus::paused && is_active(number)) co_await settled(number);
  if (run->status != RunStatus::paused || is_active(number)) {
    throw Error(ErrorCode::conflict, "run_not_paused",
                "run " + run->id + " is " + std::string(to_string(run->status)) + ", not paused");
  }
  const bool is_ambiguous = run->reason == kAmbiguousStep;
  if (is_ambiguous && !decision) {
    throw Error(
        ErrorCode::conflict, "decision_needed",
        "run " + run->id + " is paused for a step that may or may not have been done",
        "send {\"step\": {\"decision\": \"retry\"}}, or \"fail\", or \"value\" with a value");
  }
  if (!is_ambiguous && decision) {
    throw Error(ErrorCode::conflict, "no_decision_needed",
                "run " + run->id + " is paused for another reason: " + run->reason,
                "send no \"step\"");
  }
  const auto active = add_active(*run);  // Nobody else resumes it from here on.
  if (decision) co_await append_decision(*run, *decision);
  journal_.append(number, 0, journal::Resumed());
  tasks_.spawn(drive(active, "resume"));
  co_await journal_.sync();
}

}  // namespace cellar::cell
