// What runs wait for: times, events, approvals. Nothing of it needs the agent, or any process.

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include "async/aside.h"
#include "async/sleep.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/parse.h"
#include "cell/runner_parts.h"
#include "cell/waits.h"

namespace cellar::cell {
namespace {

// The wall clock may be set: a long wait looks at it now and then.
constexpr std::chrono::milliseconds kLookAgain{60'000};
// And for room on the disk.
constexpr std::chrono::milliseconds kLookAtWaitAgain{1000};
// And for what could not be read.
constexpr std::chrono::milliseconds kReadAgain{5000};
// Of payloads that are compared without a turn of the loop for others.
constexpr std::size_t kComparedAtOnceBytes = 256 << 10;
constexpr std::size_t kChildIdBytesMax = 256;  // As of an idempotency key.
constexpr std::size_t kMethodBytesMax = 256;

// Whether its time is over.
bool is_over(const Step& step) {
  const auto until = wait_until(step.args);
  return until && *until <= wall_now();
}

std::string timeout_error(const Step& step) {
  const char* what = step.kind == "approval" ? "nobody approved or refused" : "no event came";
  return error_json("WaitTimeoutError", std::string(what) + " in time for \"" + step.name + "\"",
                    "wait_timeout");
}

// It waits for none of this name; empty: for none at all.
[[noreturn]] void throw_no_approval(const Run& run, const std::string& name) {
  const Step* over = nullptr;
  std::string open;
  for (const auto& [ordinal, step] : run.steps) {
    if (step.kind != "approval") continue;
    const bool is_open = step.status == StepStatus::open && !is_over(step);
    if (is_open) open += (open.empty() ? "\"" : ", \"") + step.name + "\"";
    if (!is_open && (name.empty() || step.name == name)) over = &step;
  }
  if (over != nullptr) {
    throw Error(ErrorCode::conflict, "approval_over",
                "approval \"" + over->name + "\" of run " + run.id +
                    " is over: somebody has answered, or it was not answered in time");
  }
  require_open_run(run);
  throw Error(ErrorCode::not_found, "approval_not_found",
              "run " + run.id + " does not wait for an approval" +
                  (name.empty() ? std::string() : " of \"" + name + "\""),
              open.empty() ? "" : "those that it waits for: " + open);
}

std::string too_many_waits_error() {
  return error_json(
      "Error",
      "the run waits for " + std::to_string(kOpenWaitsMax) + " things already, or does them",
      "too_many_waits");
}

std::string invalid_match_error(const std::string& name) {
  return error_json("Error", "the match of \"" + name + "\" must be an object", "invalid_wait");
}

// The key of the run that is asked for.
std::string key_of_spawn(const Run& parent, std::uint32_t ordinal, const json::Value& request) {
  if (request.find("id") == nullptr) return child_key(parent, ordinal);
  const std::string id = text_of(request, "id");
  if (id.empty() || id.size() > kChildIdBytesMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_spawn",
                "the id of a run that another one begins must be a text of 1 to " +
                    std::to_string(kChildIdBytesMax) + " bytes");
  }
  return child_key(parent, id);
}

// As it is checked where a run is begun from outside.
std::string method_of_spawn(const json::Value& request) {
  std::string method = text_of(request, "method");
  if (method.empty() || method.size() > kMethodBytesMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_spawn",
                "the method of a run that another one begins must be a text of 1 to " +
                    std::to_string(kMethodBytesMax) + " bytes");
  }
  return method;
}

void require_takes_event(const Run& run) {
  if (run.events.size() >= kEventsWaitingMax) {
    throw Error(ErrorCode::exhausted, "too_many_events",
                "run " + run.id + " has " + std::to_string(run.events.size()) +
                    " events that it has not waited for",
                "send them when it waits for them");
  }
  if (run.event_ids.size() >= kEventsMax) {
    throw Error(
        ErrorCode::exhausted, "too_many_events",
        "run " + run.id + " has got " + std::to_string(kEventsMax) +
            " events since it last continued as another",
        "let its method go on with ctx.continueAs(state) now and then, or begin another run");
  }
}

[[noreturn]] void throw_wait_too_large() {
  throw Error(ErrorCode::too_large, "it waits with arguments of more than 64 KiB");
}

}  // namespace

asio::awaitable<void> Runner::on_wait(Active& active, const AgentFrame& frame,
                                      const std::string& kind) {
  const std::uint32_t ordinal = ordinal_of(frame);
  if (ordinal == 0) throw Error(ErrorCode::internal, "it waits for something inside a step");
  const std::shared_ptr<Active> shared = active_.at(active.run.number);
  const bool is_known = active.run.steps.contains(ordinal);
  if (!is_known) {
    if (frame.body.size() > journal::kInlineBytesMax) throw_wait_too_large();
    const bool is_room = co_await may_begin(frame.body.size());
    if (!is_room) co_await require_refusable(active, frame.body.size());
    if (!active.serves(frame)) co_return;
    const bool is_too_much = active.run.open.size() >= kOpenWaitsMax;
    journal::StepStart start;
    start.kind = kind;
    start.name = text_of(frame.header, "n");
    start.args_fp = text_of(frame.header, "fp");
    start.occ = 1;
    start.args = absolute_wait(kind, frame.body, wall_now());
    if (start.args->size() > journal::kInlineBytesMax) throw_wait_too_large();
    fault_point("wait.before_begun");
    journal_.append(active.run.number, ordinal, start);
    fault_point("wait.begun");
    journal_.sync_later();
    std::string refusal;
    if (is_too_much) {
      refusal = too_many_waits_error();
    } else if (!is_room) {
      refusal = journal_full_error("the wait was not begun");
    } else if (kind == "wait" && !is_valid_match(*start.args)) {
      refusal = invalid_match_error(start.name);
    }
    if (!refusal.empty()) {
      tasks_.spawn(refuse_wait(shared, ordinal, std::move(refusal)));
      co_return;
    }
    tasks_.spawn(keep_time(shared, ordinal));
    tasks_.spawn(look_at_wait(shared, ordinal));  // What it is for may be there already.
  }
  // A known one is kept in time and looked at since the run is active; what ended it since this
  // attempt began was given then.
}

asio::awaitable<void> Runner::refuse_wait(std::shared_ptr<Active> active, std::uint32_t ordinal,
                                          std::string error) {
  WaitEnd refused{.outcome = Outcome::failed(std::move(error))};
  co_await end_wait(std::move(active), ordinal, std::move(refused));
}

// Whether it still waits: it may have ended, or its run have settled or gone on without it.
bool Runner::open_wait(const Active& active, std::uint32_t ordinal) {
  return !active.settled && active.run.open.contains(ordinal);
}

asio::awaitable<void> Runner::look_at_wait(std::shared_ptr<Active> active, std::uint32_t ordinal) {
  for (;;) {
    try {
      if (open_wait(*active, ordinal) && is_over(active->run.steps.at(ordinal))) {
        co_await end_overdue(active, ordinal);
      } else {
        co_await try_end_wait(active, ordinal);
      }
      co_return;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled || journal_.is_broken()) throw;
      log::error("run {}: what ends a wait is looked at again: {}", log::run(active->run.id),
                 error.what());
    }
    co_await async::sleep_for(kReadAgain);
  }
}

void Runner::give_outcome(const Active& active, std::uint32_t ordinal, Outcome outcome) {
  HostCall call = call_of(active);
  call.ordinal = ordinal;
  answer(agent_, call, std::move(outcome));
}

asio::awaitable<void> Runner::keep_time(std::shared_ptr<Active> active, std::uint32_t ordinal) {
  if (!open_wait(*active, ordinal)) co_return;
  const auto until = wait_until(active->run.steps.at(ordinal).args);
  if (!until) co_return;
  for (;;) {
    if (!open_wait(*active, ordinal)) co_return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - wall_now());
    if (left.count() <= 0) break;
    co_await async::sleep_for(std::min(left, kLookAgain));
  }
  co_await look_at_wait(std::move(active), ordinal);
}

asio::awaitable<void> Runner::end_overdue(std::shared_ptr<Active> active, std::uint32_t ordinal) {
  const Found found = co_await try_end_wait(active, ordinal);
  if (found != Found::none || !open_wait(*active, ordinal)) co_return;
  const Step& step = active->run.steps.at(ordinal);
  const bool is_sleep = step.kind == "sleep";
  WaitEnd over{.outcome = is_sleep ? Outcome() : Outcome::failed(timeout_error(step))};
  co_await end_wait(active, ordinal, std::move(over));
}

// Whether the value that ends a wait can be recorded a second time, as what the wait gave. Where
// not, it is on the disk already, and the wait is looked at again.
asio::awaitable<bool> Runner::has_room_for_end(std::shared_ptr<Active> active,
                                               std::uint32_t ordinal, std::size_t bytes) {
  const bool is_owed = bytes <= kOwedValueBytes;
  const bool has_room = is_owed || co_await takes(std::min(bytes, journal::kInlineBytesMax));
  if (!has_room) tasks_.spawn(look_later(std::move(active), ordinal));
  co_return has_room;
}

asio::awaitable<void> Runner::look_later(std::shared_ptr<Active> active, std::uint32_t ordinal) {
  co_await async::sleep_for(kLookAtWaitAgain);
  co_await look_at_wait(std::move(active), ordinal);
}

asio::awaitable<Runner::Found> Runner::try_end_wait(std::shared_ptr<Active> active,
                                                    std::uint32_t ordinal, journal::Lsn newest) {
  const Run& run = active->run;
  if (!open_wait(*active, ordinal)) co_return Found::none;
  const Step& step = run.steps.at(ordinal);
  if (step.kind == "wait") co_return co_await try_end_by_event(active, ordinal, newest);
  if (step.kind != "child") co_return Found::none;
  const Run* child = runs_.find(step.child);
  WaitEnd given;
  if (child == nullptr) {  // Of a run that is gone: this one was begun from it again.
    given.outcome = Outcome::failed(
        error_json("Error", "the child's result is not kept any more", "run_removed"));
  } else if (!is_terminal(child->status)) {
    co_return Found::none;
  } else if (child->status == RunStatus::cancelled) {  // Its own error would say that this run is.
    given.outcome = Outcome::failed(
        error_json("Error", "run " + child->id + " was cancelled", "child_cancelled"));
  } else {
    given.outcome.ok = child->status == RunStatus::completed;
    given.kept = journal_.payload_at(child->ended);
    given.outcome.value = co_await journal_.value_of(child->ended);
    const bool has_room = co_await has_room_for_end(active, ordinal, given.kept->bytes.size());
    if (!has_room) co_return Found::no_room;
  }
  co_await end_wait(active, ordinal, std::move(given));
  co_return Found::ended;
}

// One wait of a cell is compared with events at a time: both may be large, and there may be a
// thousand of each.
asio::awaitable<Runner::Found> Runner::try_end_by_event(std::shared_ptr<Active> active,
                                                        std::uint32_t ordinal,
                                                        journal::Lsn newest) {
  const auto turn = co_await comparisons_.turn();
  const Run& run = active->run;
  if (!open_wait(*active, ordinal)) co_return Found::none;
  const std::string args = run.steps.at(ordinal).args;
  const auto filter = std::make_shared<const EventFilter>(wait_filter(args));
  const std::optional<WallTime> until = wait_until(args);
  std::size_t compared_bytes = 0;
  journal::Lsn lsn = 0;
  for (auto at = run.events.lower_bound(newest); at != run.events.end();
       at = run.events.upper_bound(lsn)) {  // More may come meanwhile, and others be taken.
    lsn = at->first;
    if (at->second.type != filter->type) continue;
    if (until && at->second.at > *until) continue;  // Too late, whoever was slow to say so.
    std::string payload = co_await journal_.value_of(lsn);
    compared_bytes += payload.size();
    if (compared_bytes > kComparedAtOnceBytes) {
      compared_bytes = 0;
      co_await asio::post(asio::use_awaitable);
    }
    if (!filter->match.empty()) {
      const std::size_t bytes = payload.size();
      auto compare = [filter, &payload] { return filter->takes(json::parse(payload)); };
      const bool fits = co_await async::work_aside(journal_.pool(), bytes, std::move(compare));
      if (!open_wait(*active, ordinal)) co_return Found::none;
      if (!fits) continue;
    }
    WaitEnd given{.outcome = Outcome::gave(std::move(payload)), .event = lsn};
    given.kept = journal_.payload_at(lsn);
    const bool has_room = co_await has_room_for_end(active, ordinal, given.kept->bytes.size());
    if (!has_room) co_return Found::no_room;
    const bool ended = co_await end_wait(active, ordinal, std::move(given));
    if (ended) co_return Found::ended;
    if (!open_wait(*active, ordinal)) co_return Found::none;
    // Another wait has taken this one.
  }
  co_return Found::none;
}

// ---- children ----

asio::awaitable<void> Runner::run_spawn(std::shared_ptr<AgentProcess> agent, HostCall call) {
  const Run& parent = call.owner->run;
  Outcome outcome;
  try {
    if (parent.setup && !runs_.setup_done()) {
      throw Error(ErrorCode::conflict, "spawn_in_setup",
                  "setup() cannot begin runs: each of them waits for the end of setup()",
                  "call ctx.spawn in a method");
    }
    const json::Value request = co_await parse(journal_.pool(), std::move(call.request));
    const json::Value* params = request.find("params");
    Start start{.method = method_of_spawn(request),
                .params = params == nullptr ? std::string("{}") : json::dump(*params),
                .digest = parent.agent_digest,
                .language = parent.agent_language,
                .idempotency_key = key_of_spawn(parent, call.ordinal, request),
                .parent = &parent};
    const Started started = co_await this->start(std::move(start));
    fault_point("spawn.begun");
    outcome.value = json::dump(json::object({{"run", started.id}}));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    outcome = Outcome::failed(error_json(error));
  }
  const bool is_left = parent.rollback != 0;
  if (agent_ != agent || !call.owner->serves(call.attempt) || is_left) co_return;
  const StepFate fate = co_await append_step_end(*call.owner, call.ordinal, outcome);
  if (fate == StepFate::too_late) co_return;
  if (fate == StepFate::not_kept) outcome = Outcome::failed(not_kept_error());
  answer(std::move(agent), call, std::move(outcome));
}

void Runner::tell_parents(const Run& child) {
  for (const auto& [number, active] : active_) {
    for (const Step* wait : active->run.waits()) {
      if (wait->child == child.id) tasks_.spawn(look_at_wait(active, wait->ordinal));
    }
  }
}

asio::awaitable<Runner::MadeEnd> Runner::make_wait_end(WaitEnd given) {
  if (!given.kept) co_return co_await make_step_end(std::move(given.outcome));
  MadeEnd end;  // It is named once more, not stored once more.
  end.record.ok = given.outcome.ok;
  end.record.codec = "json";
  end.record.value = *std::move(given.kept);
  co_return end;
}

asio::awaitable<bool> Runner::end_wait(std::shared_ptr<Active> active, std::uint32_t ordinal,
                                       WaitEnd given) {
  const Run& run = active->run;
  Outcome outcome = given.outcome;  // In the record it may be in a blob.
  const journal::Lsn event = given.event;
  const MadeEnd end = co_await make_wait_end(std::move(given));
  if (!end.is_kept) outcome = Outcome::failed(not_kept_error());
  const bool is_taken = event != 0 && run.has_taken(event);
  if (!open_wait(*active, ordinal) || is_taken) co_return false;
  journal_.require_takes(bytes_of_records(end.record.value.bytes, 2));
  fault_point("wait.before_ended");
  if (event != 0) {
    journal::WaitMatched matched;
    matched.event = event;
    journal_.append(run.number, ordinal, matched);
  }
  journal_.append(run.number, ordinal, end.record);
  fault_point("wait.ended");
  if (active->in_agent && agent_) {
    give_outcome(*active, ordinal, std::move(outcome));
    if (!host_.is_awake()) tasks_.spawn(wake_for(active));
  } else {
    journal_.sync_soon();
    active->suspended = false;  // The next attempt finds it in the journal.
    active->changed.set();
  }
  co_return true;
}

// What it waited for has come while its process was paused with the cell.
asio::awaitable<void> Runner::wake_for(std::shared_ptr<Active> active) {
  std::chrono::milliseconds backoff = config_.first_backoff;
  while (active->in_agent && !active->settled && !host_.is_awake()) {
    try {
      co_await host_.wake_up();
      co_return;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::warning("run {}: its cell does not wake: {}", log::run(active->run.id), error.what());
    }
    co_await async::sleep_for(backoff);
    backoff = std::min(backoff * 2, config_.longest_backoff);
  }
}

// Asks the agent, which says no, by saying nothing, while the run does something of its own. It has
// been told of all that has ended, and says what that was: more may end meanwhile.
void Runner::ask_to_suspend(Active& active) {
  const Run& run = active.run;
  const bool is_told = run.newest_end <= journal_.last_durable();
  if (!agent_ || !active.has_only_waits_open() || !is_told) return;
  json::Value header = frame_for(run, "suspend");
  header.as_object().set("n", run.newest_end);
  active.asked_to_suspend = run.attempt;
  agent_->send(header, {});
}

// The agent has let go of it: it goes on in another attempt, from the journal.
void Runner::on_suspended(Active& active, const AgentFrame& frame) {
  if (active.asked_to_suspend != active.run.attempt) {
    throw Error(ErrorCode::corrupt, "it lets go of run " + active.run.id + " unasked");
  }
  fault_point("run.suspended");
  active.leave_agent("wake");
  const Run& run = active.run;
  const bool is_all = number_of(frame.header, "n") == static_cast<std::int64_t>(run.newest_end);
  const bool may_say = !journal_.is_full();  // Without that record it may have more going.
  active.suspended = active.has_only_waits_open() && is_all && (may_say || run.is_only_waiting());
  if (active.suspended && may_say) {
    journal_.append(active.run.number, 0, journal::Left());
    journal_.sync_later();
  }
  log::debug("run {} waits without the agent", log::run(active.run.id));
}

// ---- from outside ----

asio::awaitable<bool> Runner::receive_event(std::uint32_t number, std::string id, std::string type,
                                            std::string payload) {
  auto receiving = receive_now(number, std::move(id), std::move(type), std::move(payload));
  co_return co_await to_end(std::move(receiving));
}

// One with the same id that comes meanwhile is neither stored nor recorded a second time.
asio::awaitable<Runner::ReceivingEvent> Runner::receive_alone(std::uint32_t run, std::string id) {
  ReceivingEvent::Key key(run, std::move(id));
  while (!receiving_.insert(key).second) {
    received_.reset();
    co_await received_.wait();
  }
  co_return ReceivingEvent(*this, std::move(key));
}

asio::awaitable<bool> Runner::receive_now(std::uint32_t number, std::string id, std::string type,
                                          std::string payload) {
  Run* run = runs_.find(number);
  const auto known = [&] { return run->has_received(id); };
  const ReceivingEvent receiving = co_await receive_alone(number, id);
  if (known()) {
    co_await journal_.sync();  // It may be on its way still.
    co_return false;
  }
  require_open_run(*run);
  require_takes_event(*run);
  // It is recorded as it comes, and as what a wait gave.
  const bool is_room = co_await may_begin(2 * std::min(payload.size(), journal::kInlineBytesMax));
  if (!is_room) journal_.throw_full();
  journal::EventReceived event;
  event.id = id;
  event.type = std::move(type);
  event.value = co_await store(std::move(payload));
  require_open_run(*run);
  fault_point("event.before_received");
  const journal::Lsn lsn = journal_.append(number, 0, event);
  fault_point("event.received");
  if (const auto active = find_active(number)) {
    const std::set<std::uint32_t> open = run->open;  // They may end meanwhile.
    for (const std::uint32_t ordinal : open) {       // Another event may have ended one.
      co_await try_end_wait(active, ordinal, lsn);
      if (run->has_taken(lsn)) break;
    }
  }
  co_await journal_.sync();
  fault_point("event.before_answer");
  co_return true;
}

asio::awaitable<bool> Runner::end_approval(Run& run, std::uint32_t ordinal, std::string answer) {
  const bool is_owed = is_active(run.number) && answer.size() <= kOwedValueBytes;
  std::optional<journal::Payload> kept;
  if (!is_owed) kept = co_await store(answer);  // Or it is refused, and is asked for still.
  while (run.open.contains(ordinal) && !is_terminal(run.status)) {
    WaitEnd given{.outcome = Outcome::gave(answer), .kept = kept};
    if (is_active(run.number)) {
      const bool ended = co_await end_wait(find_active(run.number), ordinal, std::move(given));
      if (ended) co_return true;
      continue;  // It has settled meanwhile, as by a pause, or somebody else has answered.
    }
    const MadeEnd end = co_await make_wait_end(std::move(given));
    const bool is_asleep = run.open.contains(ordinal) && !is_terminal(run.status);
    if (!is_asleep || is_active(run.number)) continue;  // It was taken up meanwhile, say.
    fault_point("wait.before_ended");
    journal_.append(run.number, ordinal, end.record);
    fault_point("wait.ended");
    co_return true;
  }
  co_return false;
}

asio::awaitable<void> Runner::answer_approval(std::uint32_t number, std::string step,
                                              std::string answer) {
  co_await to_end(answer_now(number, std::move(step), std::move(answer)));
}

asio::awaitable<void> Runner::answer_now(std::uint32_t number, std::string step,
                                         std::string answer) {
  Run* run = runs_.find(number);
  std::vector<const Step*> asked = run->waits();
  std::erase_if(asked, [&](const Step* wait) {
    return wait->kind != "approval" || (!step.empty() && wait->name != step) || is_over(*wait);
  });
  if (asked.empty() || is_terminal(run->status)) throw_no_approval(*run, step);
  if (asked.size() > 1) {
    throw Error(ErrorCode::invalid_argument, "step_needed",
                "run " + run->id + " waits for " + std::to_string(asked.size()) + " approvals",
                "name one of them as \"step\"");
  }
  const std::string name = asked.front()->name;
  const bool ended = co_await end_approval(*run, asked.front()->ordinal, std::move(answer));
  if (!ended) throw_no_approval(*run, name);
  co_await journal_.sync();
  fault_point("approval.before_answer");
}

}  // namespace cellar::cell
