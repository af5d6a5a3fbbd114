// How a cell pauses, hibernates and comes back, and what keeps it awake.

#include <algorithm>
#include <cmath>

#include "async/run_to_end.h"
#include "async/sleep.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/cell.h"
#include "cell/last_use.h"
#include "json/json.h"
#include "sys/file.h"
#include "sys/touched.h"

namespace cellar::cell {
namespace {

// Sets a flag for as long as it lives.
class Flagged {
 public:
  explicit Flagged(bool& flag) noexcept : flag_(flag) { flag_ = true; }
  Flagged(const Flagged&) = delete;
  Flagged& operator=(const Flagged&) = delete;
  ~Flagged() { flag_ = false; }

 private:
  bool& flag_;
};

// Whether the known working sets are those of what the cell did last.
enum class Known : std::uint8_t { is_true, is_old };

// What a page-out leaves in memory. Blocking, as the rest of what it asks.
sys::WorkingSets what_stays(const std::function<std::vector<pid_t>()>& list, sys::WorkingSets known,
                            Known how) {
  if (sys::free_swap() == 0) return known;
  std::vector<pid_t> processes = list();
  // It slept again before it was looked at: what is in memory is what it needed meanwhile.
  if (how == Known::is_old) return sys::working_sets(processes);
  std::erase_if(processes, [&known](pid_t pid) { return known.contains(pid); });
  known.merge(sys::touched_sets(processes));
  return known;
}

}  // namespace

// ---- what keeps it awake ----

std::vector<Blocker> Cell::blockers() const {
  std::vector<Blocker> list = activities_.blockers();
  const std::vector<const Run*> active =
      runner_ ? runner_->active_runs() : std::vector<const Run*>();
  for (const Run* run : active) {
    list.push_back({"run", run->id + " " + run->method, run->started_at});
  }
  if (spec_.kept_alive_until && wall_now() < *spec_.kept_alive_until) {
    list.push_back({"lease", "until " + to_iso8601(*spec_.kept_alive_until), kept_alive_since_});
  }
  if (busy_since_) {
    const auto percent = std::to_string(std::lround(cpu_.share() * 100));
    list.push_back({"processes", "they use " + percent + " % of a processor", *busy_since_});
  }
  return list;
}

std::vector<Blocker> Cell::waited_for() const {
  std::vector<Blocker> list = blockers();
  std::erase_if(list, [](const Blocker& blocker) {
    return blocker.kind == "lease" || blocker.kind == "processes";
  });
  return list;
}

LifecycleView Cell::lifecycle(std::size_t blocker_count) const {
  return {.state = state_,
          .permanent = spec_.permanent,
          .blocker_count = blocker_count,
          .quiet_since = activities_.quiet_since(),
          .idle_timeout = spec_.idle_timeout,
          .hibernate_after = config_.hibernate_after,
          .awake_since = awake_since_,
          .max_awake = spec_.max_awake};
}

bool Cell::is_still_due(Action action) const {
  return due(lifecycle(blockers().size()), steady_now()) == action;
}

// ---- states ----

asio::awaitable<ActivityLog::Activity> Cell::use(std::string kind, std::string detail,
                                                 Needs needs) {
  require_open();
  auto activity = activities_.begin(std::move(kind), std::move(detail));
  awake_since_ = steady_now();
  co_await wake(needs);
  co_return activity;
}

asio::awaitable<void> Cell::wake(Needs needs) {
  require_open();
  if (!is_awake()) co_await async::run_to_end(changes_, wake_now(needs));
}

asio::awaitable<void> Cell::wake_now(Needs needs) {
  const auto turn = co_await transitions_.turn();
  co_await thaw_or_start(needs);
}

asio::awaitable<void> Cell::thaw_or_start(Needs needs) {
  require_open();
  if (state_ == State::active) co_return;
  const auto began = std::chrono::steady_clock::now();
  const bool is_in_memory = state_ == State::paused;
  const bool was_moved = pause_ && pause_->paged_out_bytes.value_or(0) > 0;
  fault_point("cell.before_resume");
  co_await begin_file_events("unsettled");
  if (is_in_memory) {
    stop_paging();
    co_await domains_.thaw();
    co_await adopt_or_freeze();
  } else if (needs == Needs::shell) {
    co_await domains_.require(Domains::Kind::shell);
  }
  fault_point("cell.resumed");
  quota_.go_on();
  state_ = State::active;
  pause_.reset();
  is_unlearned_ = was_moved;
  if (was_moved) moves_.spawn(learn_working_sets());
  const auto took = std::chrono::steady_clock::now() - began;
  awake_since_ = steady_now();
  report_return(is_in_memory ? "memory" : "disk",
                std::chrono::duration_cast<std::chrono::microseconds>(took));
  activities_.touch();
  if (recovery_waits_) recover_runs();
}

// Where its processes cannot be taken up now, it is paused still.
asio::awaitable<void> Cell::adopt_or_freeze() {
  std::exception_ptr failure;
  try {
    co_await adopt_processes();
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  co_await domains_.freeze();
  std::rethrow_exception(failure);
}

void Cell::report_return(std::string from, std::chrono::microseconds took) {
  Measures& measures = machine_.measures;
  (from == "memory" ? measures.resume_from_memory : measures.resume_from_disk).observe(took);
  ResumeReport report{.from = std::move(from), .took = took};
  if (report.from == "memory") report.survived = domains_.survivor_count();
  report.lost = domains_.programs().take_lost();
  tell("cell.resumed", to_json(report));
  resume_ = std::move(report);
}

asio::awaitable<void> Cell::wake_up() {
  co_await wake(Needs::files);
  domains_.require_room();
}

std::optional<SteadyTime> Cell::spare_since() {
  const bool may_rest = has_timers() && !spec_.permanent && blockers().empty();
  if (!may_rest || !domains_.any_alive() || domains_.are_fresh()) return std::nullopt;
  return activities_.quiet_since();
}

asio::awaitable<void> Cell::resume() {
  co_await wake(Needs::shell);
  activities_.touch();
}

asio::awaitable<void> Cell::pause() {
  require_open();
  co_await async::run_to_end(changes_, pause_now(Asked::from_outside));
}

asio::awaitable<void> Cell::pause_now(Asked asked) {
  const auto turn = co_await transitions_.turn();
  require_open();
  if (state_ != State::active) co_return;
  if (asked == Asked::by_timer && !is_still_due(Action::pause)) co_return;
  const Flagged leaving(is_leaving_);
  fault_point("cell.before_freeze");
  co_await domains_.freeze();
  fault_point("cell.frozen");
  quota_.stop_watching();
  co_await rest_file_events(FilesToldFor::this_boot);
  state_ = State::paused;
  pause_ = PauseReport{.since = steady_now()};
  forget_cpu();
  changes_.spawn(rest_index());
  activities_.touch();
  tell("cell.paused", json::object({{"reason", asked == Asked::by_timer ? "idle" : "asked"}}));
  CellSpec spec = spec_;
  co_await save_spec(std::move(spec));
  co_await note_use();
  fault_point("cell.pause_written");
}

asio::awaitable<void> Cell::hibernate(std::string reason) {
  require_open();
  co_await async::run_to_end(changes_, hibernate_now(Asked::from_outside, std::move(reason)));
}

asio::awaitable<void> Cell::hibernate_now(Asked asked, std::string reason) {
  const auto turn = co_await transitions_.turn();
  require_open();
  if (state_ == State::hibernated) co_return;
  if (asked == Asked::by_timer && !is_still_due(Action::hibernate)) co_return;
  const std::vector<Blocker> busy_with = waited_for();
  if (!busy_with.empty()) {
    throw Error(ErrorCode::conflict, "cell_busy",
                "the cell is busy with " + busy_with.front().kind + " " + busy_with.front().detail,
                "cancel it, or wait until it ends");
  }
  co_await end_processes(std::move(reason), LostBy::hibernated);
}

asio::awaitable<void> Cell::end_processes(std::string reason, LostBy why) {
  journal_->require_place();
  const Flagged leaving(is_leaving_);
  stop_paging();
  domains_.programs().lose_all(why);
  fault_point("cell.before_end");
  co_await domains_.end_all(why);
  co_await lose_unattended(why);
  working_sets_.clear();
  fault_point("cell.ended");
  co_await journal_->sync();
  co_await remove_old_runs();
  const auto store_turn = co_await store_turns_.turn();
  auto close_store = [this] { store_.reset(); };  // Its write-ahead log goes into the file.
  co_await async::offload(machine_.pool, close_store);
  co_await rest_file_events(FilesToldFor::good);
  state_ = State::hibernated;
  pause_.reset();
  forget_cpu();
  changes_.spawn(rest_index());
  tell("cell.hibernated", json::object({{"reason", reason}}));
  CellSpec spec = spec_;
  co_await save_spec(std::move(spec));
  fault_point("cell.hibernate_written");
}

asio::awaitable<void> Cell::stop_now() {
  const std::string awake = "the cell was awake for more than " +
                            std::to_string(spec_.max_awake.count()) +
                            " s, and nobody asked it for anything (max_awake_s)";
  log::warning("cell {}: {}: it is stopped", log::cell(spec_.cell_id), awake);
  std::vector<std::uint32_t> active;
  for (const Run* run : runner_->active_runs()) active.push_back(run->number);
  for (const std::uint32_t run : active) {
    Runner::Pause why{"max_awake", json::dump(json::object({{"message", awake}}))};
    try {
      co_await runner_->pause(run, std::move(why));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::conflict) throw;  // Else it has ended meanwhile.
    }
  }
  const auto turn = co_await transitions_.turn();
  require_open();
  const std::optional<SteadyTime> stop = stops_at(lifecycle(blockers().size()));
  if (!stop || steady_now() < *stop) co_return;  // It was asked for something.
  co_await end_processes("max_awake", LostBy::max_awake);
}

asio::awaitable<void> Cell::keep_alive(std::chrono::seconds length) {
  require_open();
  const auto activity = co_await use("request", "keep-alive");
  co_await async::run_to_end(changes_, keep_alive_now(length));
}

asio::awaitable<void> Cell::keep_alive_now(std::chrono::seconds length) {
  const auto turn = co_await transitions_.turn();
  require_open();
  CellSpec next = spec_;
  next.kept_alive_until.reset();
  if (length.count() > 0) next.kept_alive_until = wall_now() + length;
  kept_alive_since_ = wall_now();
  co_await save_spec(std::move(next));
}

asio::awaitable<void> Cell::wake_at(std::optional<WallTime> at) {
  require_open();
  co_await async::run_to_end(changes_, wake_at_now(at));
}

asio::awaitable<void> Cell::wake_at_now(std::optional<WallTime> at) {
  const auto turn = co_await transitions_.turn();
  require_open();
  CellSpec next = spec_;
  next.wake_at = at;
  wake_not_before_ = WallTime();
  co_await save_spec(std::move(next));
}

bool Cell::is_to_wake(WallTime now) const noexcept {
  return spec_.wake_at && now >= *spec_.wake_at && now >= wake_not_before_;
}

asio::awaitable<void> Cell::keep_appointment() {
  constexpr std::chrono::seconds kAgainAfter{10};
  const std::optional<WallTime> at = spec_.wake_at;
  wake_not_before_ = wall_now() + kAgainAfter;
  co_await resume();
  if (spec_.wake_at != at) co_return;  // Somebody has said something else meanwhile.
  log::info("cell {}: it was to wake at {}", log::cell(spec_.cell_id), to_iso8601(*at));
  co_await wake_at(std::nullopt);
}

// One that is awake stays so for as long as it takes to see whether its processes are at work.
void Cell::recall_use(SteadyTime quiet_since) {
  const SteadyTime now = steady_now();
  if (state_ == State::active) {
    quiet_since =
        std::max(quiet_since, std::min(now, now - spec_.idle_timeout + CpuMeter::kWindow));
  }
  activities_.recall(quiet_since);
}

asio::awaitable<void> Cell::note_use() {
  const SteadyTime since = activities_.quiet_since();
  if (state_ == State::hibernated || since == noted_use_) co_return;
  noted_use_ = since;
  note_use_after_ = steady_now() + kUseNotedEvery;
  auto write = [path = layout_.last_use(), text = encode_last_use(since)] {
    sys::replace_file(path, text, 0600, sys::Durable::no);
  };
  try {
    co_await async::offload(machine_.pool, std::move(write));
  } catch (const Error& error) {  // It costs the cell a later hibernation, after a restart only.
    if (error.code() == ErrorCode::canceled) throw;
    log::debug("cell {}: its last use is not noted: {}", log::cell(spec_.cell_id), error.what());
  }
}

asio::awaitable<void> Cell::measure_cpu() {
  const std::chrono::microseconds used = co_await domains_.cpu_used();
  count_cpu(used);
  if (state_ != State::active) co_return;
  cpu_.add(std::chrono::steady_clock::now(), used);
  const bool is_busy = cpu_.share() * 100 >= config_.busy_cpu_percent;
  if (!is_busy) busy_since_.reset();
  if (is_busy && !busy_since_) busy_since_ = wall_now();
}

// Less than before is what other processes have used, which are there now.
void Cell::count_cpu(std::chrono::microseconds used) noexcept {
  cpu_used_ += used >= cpu_seen_ ? used - cpu_seen_ : used;
  cpu_seen_ = used;
}

asio::awaitable<CellUse> Cell::used() {
  require_open();
  if (state_ != State::hibernated) {
    const std::chrono::microseconds used = co_await domains_.cpu_used();
    count_cpu(used);
  }
  CellUse use{.network = domains_.network_view().usage, .cpu = cpu_used_, .cpu_since = opened_at_};
  for (const Run* run : runs_.newest_first()) {
    ++use.run_count;
    use.step_count += run->steps_done();
  }
  co_return use;
}

void Cell::forget_cpu() {
  cpu_.clear();
  busy_since_.reset();
}

asio::awaitable<void> Cell::page_out(std::shared_ptr<std::atomic<bool>> stop) {
  const auto turn = co_await machine_.paging.turn();
  if (stop->load()) co_return;
  auto look = [list = domains_.processes(), known = working_sets_, is_unlearned = is_unlearned_] {
    return what_stays(list, known, is_unlearned ? Known::is_old : Known::is_true);
  };
  sys::WorkingSets kept = co_await async::offload(machine_.pool, std::move(look));
  if (stop->load()) co_return;
  working_sets_ = kept;
  is_unlearned_ = false;
  auto move = domains_.page_out(std::move(kept), stop);
  const std::uint64_t bytes = co_await async::offload(machine_.pool, std::move(move));
  if (!stop->load() && pause_) pause_->paged_out_bytes = bytes;
}

// All of its memory was in swap: what is not there now is what the first answer needed.
asio::awaitable<void> Cell::learn_working_sets() {
  constexpr std::chrono::milliseconds kFirstAnswer{20};
  co_await async::sleep_for(kFirstAnswer);
  if (state_ != State::active) co_return;
  auto look = [list = domains_.processes()] { return sys::working_sets(list()); };
  working_sets_ = co_await async::offload(machine_.pool, std::move(look));
  is_unlearned_ = false;
}

// A process whose memory was never moved has no working set yet: what it touched lately is taken
// for it. That is to be little, so what it touched is forgotten while it is much.
void Cell::watch_memory(SteadyTime now) {
  constexpr std::chrono::seconds kPause{10};
  constexpr std::chrono::milliseconds kWorthALook{20};  // of a processor: in less it touches little
  if (now < watch_memory_after_ || cpu_used_ < cpu_watched_ + kWorthALook) return;
  watch_memory_after_ = now + kPause;
  cpu_watched_ = cpu_used_;
  moves_.spawn(forget_touched());
}

asio::awaitable<void> Cell::forget_touched() {
  auto forget = [list = domains_.processes()] {
    if (sys::free_swap() > 0) sys::forget_touched(list());
  };
  co_await async::offload(machine_.pool, std::move(forget));
}

void Cell::stop_paging() noexcept {
  if (paging_) paging_->store(true);
  paging_.reset();
}

void Cell::keep_agent() {
  constexpr std::chrono::seconds kFirst{1};
  constexpr std::chrono::seconds kLongest{60};
  if (!spec_.permanent || spec_.agent_digest.empty() || state_ != State::active) return;
  const auto now = std::chrono::steady_clock::now();
  if (runner_->has_agent()) {
    if (now > agent_started_at_ + kLongest) agent_backoff_ = std::chrono::seconds(0);
    return;
  }
  if (now < agent_started_at_ + agent_backoff_) return;
  agent_backoff_ = std::clamp(agent_backoff_ * 2, kFirst, kLongest);
  agent_started_at_ = now;
  changes_.spawn(start_agent_anew());
}

asio::awaitable<void> Cell::start_agent_anew() {
  log::info("cell {}: the agent of a permanent cell is started; should it end, again in {} s",
            log::cell(spec_.cell_id), agent_backoff_.count());
  std::string digest = spec_.agent_digest;
  try {
    co_await runner_->stand_by(std::move(digest), spec_.agent_language);
  } catch (const Error& error) {  // As where its domain ends meanwhile: keep_agent() comes again.
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("cell {}: the agent did not start: {}", log::cell(spec_.cell_id), error.what());
  }
}

asio::awaitable<void> Cell::make_journal_room() {
  const auto turn = co_await transitions_.turn();
  makes_journal_room_ = false;
  if (open_) co_await remove_old_runs();
}

CellJournal::Used Cell::used_of_runs() const {
  using Used = CellJournal::Used;
  if (!runner_) return Used::nothing;  // It is being opened.
  if (runner_->has_requests()) return Used::history;
  const bool is_used = !activities_.blockers().empty() || runner_->works_on_ended_runs();
  return is_used ? Used::ended_runs : Used::nothing;
}

void Cell::generation_ended() {
  if (!journal_->is_crowded() || std::exchange(makes_journal_room_, true)) return;
  changes_.spawn(make_journal_room());
}

asio::awaitable<void> Cell::tick() {
  if (!open_) co_return;
  const SteadyTime now = steady_now();
  keep_agent();
  if (pause_ && !paging_ && now >= pause_->since + config_.page_out_after) {
    paging_ = std::make_shared<std::atomic<bool>>(false);
    moves_.spawn(page_out(paging_));
  }
  const bool counts_cpu = config_.busy_cpu_percent > 0 && !spec_.permanent;
  if (!counts_cpu) forget_cpu();
  if (counts_cpu && state_ == State::active) co_await measure_cpu();
  if (counts_cpu && state_ == State::active) watch_memory(now);
  const std::vector<Blocker> busy_with = blockers();
  if (!busy_with.empty()) activities_.touch();
  const auto action = due(lifecycle(busy_with.size()), now);
  if (action == Action::pause) {
    co_await async::run_to_end(changes_, pause_now(Asked::by_timer));
  }
  if (action == Action::hibernate) {
    co_await async::run_to_end(changes_, hibernate_now(Asked::by_timer, "idle"));
  }
  if (action == Action::stop) co_await async::run_to_end(changes_, stop_now());
  // One that never sleeps would keep what its runs left until the daemon is restarted.
  if (open_ && journal_->is_at_limit()) co_await async::run_to_end(changes_, make_journal_room());
  if (open_ && now >= note_use_after_) co_await note_use();
}

}  // namespace cellar::cell
