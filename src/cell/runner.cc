#include "cell/runner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "cell/capacity.h"
#include "cell/disk_quota.h"
#include "cell/runner_parts.h"
#include "cell/vault.h"
#include "json/json.h"

namespace cellar::cell {

namespace {

// How often it is looked whether the machine has room again.
constexpr std::chrono::milliseconds kRoomPause{1000};
// Of what the agent printed, the newest lines, and so much of each, where it ended too often.
constexpr std::size_t kOutputLinesTold = 10;
constexpr std::size_t kOutputLineTold = 400;

// Cancelled before any step was completed: no rollback was ever declared for what is done.
bool has_nothing_to_undo(const Run& run) {
  return run.undoes && run.rollback == 0 &&
         std::none_of(run.steps.begin(), run.steps.end(), [](const auto& entry) {
           return entry.second.kind == "step" && entry.second.status == StepStatus::ok;
         });
}

// Why the run is paused, with what the agent printed last.
std::string crash_loop(const Run::EndsInVain& ends, const std::string& cause,
                       std::vector<std::string> output) {
  const std::string times = "the agent ended " + std::to_string(ends.count) + " times ";
  const std::string what = ends.step == nullptr
                               ? times + "in a row with no step finished between"
                               : times + "while step \"" + ends.step->name + "\" was executed";
  json::Value detail = json::object({{"name", "CrashLoop"},
                                     {"message", what + ", the last time by " + cause},
                                     {"code", "crash_loop"}});
  if (ends.step != nullptr) detail.as_object().set("ordinal", ends.step->ordinal);
  for (std::string& line : output) line.resize(utf8_floor(line, kOutputLineTold));
  if (!output.empty()) detail.as_object().set("output", json::Array(output.begin(), output.end()));
  return json::dump(detail);
}

}  // namespace

Runner::Runner(asio::any_io_executor executor, CellJournal& journal, RunTable& runs,
               RunnerHost& host, const RunnerConfig& config)
    : executor_(std::move(executor)),
      journal_(journal),
      runs_(runs),
      host_(host),
      config_(config),
      image_checks_(executor_, {.waiters_max = std::numeric_limits<std::size_t>::max()}),
      comparisons_(executor_, {.waiters_max = std::numeric_limits<std::size_t>::max()}),
      received_(executor_),
      settled_(executor_),
      starting_(executor_),
      tasks_(executor_) {
  journal_.on_room([this] { tell_room(); });
  journal_.on_delivered([this] {  // One write, and one wake-up, for all steps that it has ended.
    if (agent_ && agent_->send_held()) fault_point("step.acked");
  });
}

Runner::~Runner() = default;

asio::awaitable<void> Runner::close() {
  journal_.on_room(nullptr);
  journal_.on_delivered(nullptr);
  if (agent_) agent_->kill();
  co_await tasks_.close();
  settled_.set();  // Nothing settles any more: who waits is told.
  agent_.reset();
}

// ---- starting and settling ----

std::shared_ptr<Runner::Active> Runner::add_active(Run& run, bool suspended) {
  auto active = std::make_shared<Active>(run, executor_);
  active->suspended = suspended;
  active_[run.number] = active;
  counted_ends_ += 1 + run.open.size();
  for (const Step* wait : run.waits()) {
    tasks_.spawn(keep_time(active, wait->ordinal));
    tasks_.spawn(look_at_wait(active, wait->ordinal));  // What it is for may be there.
  }
  return active;
}

std::shared_ptr<Runner::Active> Runner::find_active(std::uint32_t number) const {
  const auto found = active_.find(number);
  return found == active_.end() ? nullptr : found->second;
}

std::shared_ptr<Runner::Active> Runner::find_active(std::string_view run_id) const {
  const Run* run = runs_.find(run_id);
  return run == nullptr ? nullptr : find_active(run->number);
}

bool Runner::is_active(std::uint32_t number) const {
  const auto active = find_active(number);
  return active && !active->settled;
}

std::vector<const Run*> Runner::active_runs() const {
  std::vector<const Run*> list;
  for (const auto& [number, active] : active_) {
    if (!active->suspended) list.push_back(&active->run);
  }
  return list;
}

bool Runner::works_on_ended_runs() const noexcept {
  return std::any_of(active_.begin(), active_.end(),
                     [](const auto& entry) { return is_terminal(entry.second->run.status); });
}

bool Runner::setup_is_running() const noexcept {
  return std::any_of(active_.begin(), active_.end(),
                     [](const auto& entry) { return entry.second->run.setup; });
}

namespace {

// Of two texts of JSON; names may come in another order.
bool is_same_json(const std::string& a, const std::string& b) {
  return a == b || (a.size() == b.size() && json::parse(a) == json::parse(b));
}

}  // namespace

const Run* Runner::begun_before(const Start& request) {
  if (!request.idempotency_key) return nullptr;
  const Run* run = runs_.find_key(*request.idempotency_key);
  if (run == nullptr) return nullptr;
  const bool is_same = run->method == request.method && run->forked.run_id.empty() &&
                       is_same_json(journal_.read_value(run->created), request.params);
  if (!is_same) {
    throw_key_reused(*run, "with another method or other params, or again from another run");
  }
  return run;
}

void Runner::throw_key_reused(const Run& run, std::string_view how_it_began) {
  throw Error(ErrorCode::conflict, "idempotency_key_reused",
              "the idempotency key is that of run " + run.id + ", which was begun " +
                  std::string(how_it_began),
              "send another key");
}

asio::awaitable<Runner::Started> Runner::once_durable(const Run& begun_before) {
  Started started{.id = begun_before.id, .is_new = false};
  co_await journal_.sync();  // It may be on its way still.
  co_return started;
}

void Runner::require_room_for_run() const {
  if (active_.size() < kOpenRunsMax) return;
  throw Error(ErrorCode::exhausted, "too_many_runs",
              "the cell has " + std::to_string(active_.size()) + " runs that are not finished",
              "wait until some have ended, or cancel them");
}

asio::awaitable<void> Runner::await_setup(const Run* own, std::function<bool()> is_moot) {
  while (!is_setup_free() && !is_moot()) {
    if (tasks_.is_closed()) throw Error(ErrorCode::canceled, "the cell is closed");
    settled_.reset();
    co_await settled_.wait();
  }
  const Run* paused = runs_.paused_in_setup();
  if (paused == nullptr || paused == own || is_moot()) co_return;
  throw Error(ErrorCode::conflict, "setup_paused",
              "run " + paused->id + " is paused in setup(), which is done once for all runs",
              "resume it, or cancel it: then the next run does all of setup() again");
}

asio::awaitable<void> Runner::await_begin(std::uint64_t bytes, bool needs_setup, const Run* own,
                                          std::function<bool()> is_moot) {
  const auto may = [&] { return can_begin(bytes) && (!needs_setup || is_setup_free()); };
  do {  // Others may begin meanwhile.
    const bool is_room = co_await may_begin(bytes);
    if (!is_room) journal_.throw_full();
    if (needs_setup) co_await await_setup(own, is_moot);
  } while (!is_moot() && !may());
}

asio::awaitable<Runner::Started> Runner::start(Start request) {
  journal::Journal::require_body(request.params.size());
  const auto is_made = [&] { return begun_before(request) != nullptr; };
  if (!is_made()) co_await await_begin(request.params.size(), true, nullptr, is_made);
  if (const Run* run = begun_before(request)) co_return co_await once_durable(*run);
  require_room_for_run();
  const std::uint32_t number = runs_.next_number();
  Started started{.id = new_run_id(number), .is_new = true};
  journal::RunCreated created;
  created.run_id = started.id;
  created.method = std::move(request.method);
  created.params = std::move(request.params);
  set_version(created, {.digest = std::move(request.digest), .language = request.language});
  created.idem_key = std::move(request.idempotency_key);
  created.setup = !runs_.setup_done();
  if (request.parent != nullptr && request.parent->cancel_requested) {
    throw Error(ErrorCode::conflict, "canceled", "the run that begins it is cancelled");
  }
  journal::RunAttempt first;
  first.n = 1;
  first.cause = "start";
  journal_.require_takes(bytes_of_records(created.params, 2));
  fault_point("run.before_created");
  journal_.append(number, 0, created);
  journal_.append(number, 0, first);
  fault_point("run.created");
  // It goes on from here by itself, whether the caller stays or not.
  tasks_.spawn(drive(add_active(*runs_.find(number)), "start"));
  co_await journal_.sync();
  fault_point("run.before_answer");
  co_return started;
}

void Runner::recover(const std::string& cause) {
  for (Run* run : runs_.unfinished()) {
    const auto active = find_active(run->number);
    if (!active || active->settled) {
      tasks_.spawn(drive(add_active(*run), cause));
    } else if (active->suspended && !run->has_left()) {  // The cell was found frozen.
      active->suspended = false;
      active->changed.set();
    }
  }
  for (Run* run : runs_.kept_from_ending()) {
    if (active_.contains(run->number)) continue;
    const auto active = add_active(*run);
    tasks_.spawn(run->ends_at_once() ? drive(active, "cancel") : let_go_on_soon(active));
  }
}

void Runner::recover_waits(bool frozen) {
  for (Run* run : runs_.unfinished()) {
    const bool stays_out = frozen ? run->is_only_waiting() : run->has_left();
    if (!stays_out) continue;
    tasks_.spawn(drive(add_active(*run, true), "wake"));
  }
}

void Runner::recover_woken() {
  for (Run* run : runs_.unfinished()) {
    if (run->is_woken() && !find_active(run->number)) {
      tasks_.spawn(drive(add_active(*run), "wake"));
    }
  }
}

asio::awaitable<void> Runner::settled(std::uint32_t run, std::chrono::milliseconds limit) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  const auto is_settled = [&] {
    const Run* found = runs_.find(run);
    if (found == nullptr) return true;  // It is not kept any more.
    // A cell that was found frozen has runs that nobody carries through yet.
    const bool is_open = !is_terminal(found->status) && found->status != RunStatus::paused;
    return !active_.contains(run) && (!is_open || journal_.is_broken());
  };
  while (!is_settled()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return;
    if (tasks_.is_closed()) throw Error(ErrorCode::canceled, "the cell is closed");
    settled_.reset();
    co_await settled_.wait_for(left);
  }
}

asio::awaitable<void> Runner::drive(std::shared_ptr<Active> active, std::string cause) {
  Run& run = active->run;
  std::optional<Error> failure;
  try {
    co_await carry_through(*active, std::move(cause));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::error("run {}: {}", log::run(run.id), error.what());
    failure = error;
  }
  while (failure && !journal_.is_broken() && !active->settled &&
         (active->is_pausing || active->is_ending)) {  // On its way to the disk.
    co_await active->changed.wait();
    active->changed.reset();
  }
  if (failure && !journal_.is_broken()) co_await pause_for(*active, *failure);
  // One that settled by a pause may be under way again.
  const auto found = active_.find(run.number);
  if (found != active_.end() && found->second == active) {
    host_.kill_commands(run.number);  // What lost a race.
    drop_held(*active);
    if (is_terminal(run.status)) end_llm_calls(run.number);
    active_.erase(found);
    if (active->undoes_after_pause && run.status == RunStatus::paused) {
      tasks_.spawn(let_go_on_soon(add_active(run)));
    }
  }
  settled_.set();
}

// What it failed for may for a while keep its pause from being recorded, too.
asio::awaitable<void> Runner::pause_for(Active& active, const Error& failure) {
  try {
    co_await journal_.room();
    co_await pause_run(active, failure.reason().empty() ? "internal" : failure.reason(),
                       pause_json(failure));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::error("run {}: it is not paused: {}", log::run(active.run.id), error.what());
  }
}

asio::awaitable<void> Runner::carry_through(Active& active, std::string cause) {
  Run& run = active.run;
  std::chrono::milliseconds backoff = config_.first_backoff;
  while (!active.settled) {
    if (active.is_pausing || active.is_ending) {  // It settles soon.
      co_await active.changed.wait();
      active.changed.reset();
      continue;
    }
    if (run.ends_at_once() || has_nothing_to_undo(run)) {
      co_await end_cancelled(active);
      break;
    }
    if (active.suspended) {
      cause = "wake";
      co_await active.changed.wait();
      active.changed.reset();
      continue;
    }
    const Run::EndsInVain ends = run.ends_in_vain();
    if (counts_against_budget(cause) && ends.count >= config_.attempts_max) {
      std::string detail = crash_loop(ends, cause, host_.agent_output(kOutputLinesTold));
      const bool is_room = co_await takes(detail.size());
      if (!is_room) detail = crash_loop(run.ends_in_vain(), cause, {});
      co_await pause_run(active, "crash_loop", std::move(detail));
      break;
    }
    co_await attempt(active, cause);
    if (active.settled) break;
    host_.kill_commands(run.number);
    cause = std::exchange(active.interruption, {});
    if (cause == AgentProcess::kHostMissing && active.is_wanted()) {
      co_await pause_run(active, cause, host_missing_);
      break;
    }
    if (run.ends_in_vain().count > 1 && active.is_wanted()) {
      co_await hold_off(active, backoff);
      backoff = std::min(backoff * 2, config_.longest_backoff);
    } else {
      backoff = config_.first_backoff;
    }
  }
  if (run.ends_at_once() && run.status == RunStatus::paused) {  // Asked for while it was pausing.
    co_await end_cancelled(active);
  }
}

// A cancel, or a pause, ends the wait; what the run's own waits are given does not.
asio::awaitable<void> Runner::hold_off(Active& active, std::chrono::milliseconds pause) {
  const auto until = std::chrono::steady_clock::now() + pause;
  active.run.stands_for = kBackoff;
  const bool undid = active.run.undoes;  // As it does for the rest of the run.
  while (active.is_wanted() && active.run.undoes == undid &&
         std::chrono::steady_clock::now() < until) {
    active.changed.reset();
    co_await active.changed.wait_for(
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()));
  }
  active.run.stands_for.clear();
}

// False once nobody wants it any more. Waiting for room is no attempt: nothing is wrong with the
// run. What else goes wrong here is met again by the attempt, and counts.
asio::awaitable<bool> Runner::wait_for_room(Active& active) {
  for (; active.is_wanted(); co_await active.changed.wait_for(kRoomPause)) {
    try {
      co_await host_.wake_up();
      co_return true;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      if (error.reason() != Capacity::kReason) co_return true;
    }
    active.run.stands_for = Capacity::kReason;
    active.changed.reset();
  }
  co_return false;
}

// One attempt. The first attempt's record is there already.
asio::awaitable<void> Runner::attempt(Active& active, const std::string& cause) {
  Run& run = active.run;
  const bool has_room = co_await wait_for_room(active);
  run.stands_for.clear();
  if (!has_room) {
    active.interruption = cause;
    co_return;
  }
  if (cause != "start") {
    drop_held(active);
    co_await wait_for_journal(active);
    if (!active.is_wanted()) {
      active.interruption = cause;
      co_return;
    }
    const bool is_paused = co_await settle_interrupted(active, cause);
    if (is_paused) co_return;
    journal::RunAttempt next;
    next.n = run.attempt + 1;
    next.cause = cause;
    fault_point("attempt.before_written");
    journal_.append(run.number, 0, next);
  }
  co_await journal_.sync();
  fault_point("attempt.before_agent");
  std::optional<Error> failure;
  try {
    co_await host_.wake_up();
    const auto is_wanted = [&active] { return active.is_wanted(); };
    if (agent_ && agent_->language() != run.agent_language) run.stands_for = kOtherAgent;
    co_await ensure_agent(run.agent_language, is_wanted);
  } catch (const Error& error) {
    log::warning("run {}: the agent host does not start: {}", log::run(run.id), error.what());
    failure = error;
  }
  run.stands_for.clear();
  if (failure) {
    const std::string& reason = failure->reason();
    const bool hopeless =
        reason == AgentProcess::kHostMissing || reason == kDiskFull || reason == kSecretsSealed;
    if (hopeless) co_await pause_run(active, failure->reason(), pause_json(*failure));
    active.interruption = "agent_exit";
    co_return;
  }
  std::optional<ReplayImage> image = co_await replay_image(run, run.agent_digest);
  if (!image) {
    const std::string why = "the run has recorded more than the agent can be given at once";
    const std::string detail = error_json("ReplayTooLarge", why, "replay_too_large");
    co_await pause_run(active, "replay_too_large", detail);
    co_return;
  }
  // Meanwhile it may have been paused or cancelled, or the agent may have ended.
  const bool is_wanted = active.is_wanted();
  const bool is_other = agent_ && agent_->language() != run.agent_language;
  if (!is_wanted || !agent_ || is_other) {
    const bool missing = !agent_ && !host_missing_.empty();
    active.interruption = !is_wanted ? cause
                          : missing  ? AgentProcess::kHostMissing
                          : is_other ? "settings"
                                     : "agent_exit";
    co_return;
  }
  if (run.undoes) image->header.as_object().set("cancel", grace_ms(active));
  active.changed.reset();
  active.in_agent = true;
  fault_point("attempt.before_given");
  give(*std::exchange(image, std::nullopt));
  fault_point("attempt.given");
  co_await stay_in_agent(active);
  active.in_agent = false;
}

// Until it leaves, or is asked to, as it only waits.
asio::awaitable<void> Runner::stay_in_agent(Active& active) {
  active.heard_at = std::chrono::steady_clock::now();
  const auto silent = [&active] { return std::chrono::steady_clock::now() - active.heard_at; };
  while (active.in_agent && !active.settled) {
    // Of one that was asked already, and stays, the whole time again.
    const auto left = config_.suspend_after - silent();
    const auto wait = left.count() > 0 ? std::chrono::ceil<std::chrono::milliseconds>(left)
                                       : config_.suspend_after;
    const bool changed = co_await active.changed.wait_for(wait);
    active.changed.reset();
    const bool is_due = !changed && silent() >= config_.suspend_after;
    if (is_due) ask_to_suspend(active);
  }
}

}  // namespace cellar::cell
