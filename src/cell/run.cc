#include "cell/run.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "cell/waits.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

WallTime time_of(const journal::Record& record) {
  return from_unix_ms(static_cast<std::int64_t>(record.t_ns / 1'000'000));
}

template <typename Body>
Body decode(const journal::Record& record) {
  auto body = Body::decode(record.body);
  if (!body) {
    throw Error(ErrorCode::corrupt, "journal_corrupt",
                "record " + std::to_string(record.lsn) + " has a body that does not decode");
  }
  return *std::move(body);
}

// Of what a step said, only what comes behind this record counts.
void give_up_said(Step& step, journal::Lsn lsn) {
  if (!is_wait(step.kind)) step.said_behind = lsn;
}

// What is under way with the agent, and ends with it: a call of a model goes on.
void give_up_said(Run& run, journal::Lsn lsn) {
  for (const std::uint32_t ordinal : run.open) {
    Step& step = run.steps.at(ordinal);
    if (step.kind != "llm") give_up_said(step, lsn);
  }
}

// A step says something, in this attempt of it (0: whichever is under way). An attempt that failed
// is not recorded where the disk is full: a later one gives it up as well.
void hear(Run& run, std::uint32_t ordinal, std::uint32_t turn, journal::Lsn lsn) {
  const auto found = run.steps.find(ordinal);
  if (found == run.steps.end() || found->second.status != StepStatus::open) return;
  Step& step = found->second;
  step.has_said = true;
  if (turn <= step.said_turn) return;
  if (step.said_turn != 0) give_up_said(step, lsn - 1);
  step.said_turn = turn;
}

// A header's value holds no line feed.
constexpr std::string_view kChildKey = "child\n";
std::string child_prefix(std::string_view parent_id) {
  return std::string(kChildKey).append(parent_id) + "\n";
}

std::string parent_in(std::string_view idempotency_key) {
  if (!idempotency_key.starts_with(kChildKey)) return "";
  idempotency_key.remove_prefix(kChildKey.size());
  return std::string(idempotency_key.substr(0, idempotency_key.find('\n')));
}

}  // namespace

std::string_view to_string(RunStatus status) noexcept {
  switch (status) {
    case RunStatus::running:
      return "running";
    case RunStatus::waiting:
      return "waiting";
    case RunStatus::paused:
      return "paused";
    case RunStatus::completed:
      return "completed";
    case RunStatus::failed:
      return "failed";
    case RunStatus::cancelled:
      return "cancelled";
  }
  return "failed";
}

bool is_terminal(RunStatus status) noexcept {
  return status == RunStatus::completed || status == RunStatus::failed ||
         status == RunStatus::cancelled;
}

std::optional<WallTime> Run::retries_at() const {
  std::optional<WallTime> first;
  for (const std::uint32_t ordinal : open) {
    const Step& step = steps.at(ordinal);
    if (is_wait(step.kind) || leaves(step)) continue;
    if (!step.retry_at) return std::nullopt;
    if (!first || *step.retry_at < *first) first = step.retry_at;
  }
  return first;
}

Run::EndsInVain Run::ends_in_vain() const {
  EndsInVain most{.count = attempts_without_progress + 1};
  for (const std::uint32_t ordinal : open) {
    const Step& step = steps.at(ordinal);
    const std::uint32_t count = step.ends_under_it + (step.is_executed_again() ? 1 : 0);
    if (count >= most.count) most = {.count = count, .step = &step};
  }
  return most;
}

std::uint32_t Run::steps_done() const noexcept {
  return static_cast<std::uint32_t>(
      std::count_if(steps.begin(), steps.end(), [](const auto& entry) {
        return entry.second.is_step() && entry.second.status != StepStatus::open;
      }));
}

std::vector<const Step*> Run::waits() const {
  std::vector<const Step*> list;
  for (const std::uint32_t ordinal : open) {
    const Step& step = steps.at(ordinal);
    if (is_wait(step.kind)) list.push_back(&step);
  }
  return list;
}

bool Run::has_only_waits_open() const noexcept {
  if (cancel_requested || rollback != 0 || open.empty()) return false;
  return std::all_of(open.begin(), open.end(),
                     [this](std::uint32_t ordinal) { return is_wait(steps.at(ordinal).kind); });
}

bool Run::is_only_waiting() const noexcept {
  if (!has_only_waits_open()) return false;
  journal::Lsn newest = left;
  for (const std::uint32_t ordinal : open) newest = std::max(newest, steps.at(ordinal).begun);
  return newest > newest_end;
}

bool Run::is_woken() const noexcept {
  bool is_of_wait = false;
  for (const auto& [ordinal, step] : steps) {
    if (step.begun > newest_end) return false;
    is_of_wait = is_of_wait || (is_wait(step.kind) && step.outcome == newest_end);
  }
  return is_of_wait;
}

std::uint64_t llm_tokens_of(const journal::Record& record) {
  // A glance is enough for most events: their type comes last.
  if (record.type != journal::Type::event || !record.body.ends_with(kLlmUsage)) return 0;
  const auto body = decode<journal::Event>(record);
  if (body.type != kLlmUsage) return 0;
  const json::Value data = json::parse(body.data);
  std::uint64_t tokens = 0;
  for (const char* key : {"input_tokens", "output_tokens"}) {
    const json::Value* count = data.find(key);
    if (count != nullptr && count->is_int()) tokens += static_cast<std::uint64_t>(count->as_int());
  }
  return tokens;
}

std::string new_run_id(std::uint32_t number) {
  return "run_" + std::to_string(number) + "_" + random_hex(8);
}

std::string child_key(const Run& parent, std::uint32_t ordinal) {
  return child_prefix(parent.id) + std::to_string(ordinal);
}

std::string child_key(const Run& parent, const std::string& id) {
  return child_prefix(parent.id) + "\n" + id;  // An ordinal begins with no line feed.
}

bool counts_against_budget(std::string_view cause) noexcept {
  return cause == "agent_exit" || cause == "agent_stalled" || cause == "oom" ||
         cause == "shell_lost";
}

Run& RunTable::run_of(const journal::Record& record) {
  Run* run = find(record.run);
  if (run == nullptr && record.run < first_number_) {
    auto& headless = headless_[record.run];
    if (!headless) headless = std::make_shared<Run>();
    run = headless.get();
  }
  if (run == nullptr) {
    throw Error(ErrorCode::corrupt, "journal_corrupt",
                "record " + std::to_string(record.lsn) + " belongs to run " +
                    std::to_string(record.run) + ", which was never created");
  }
  return *run;
}

void RunTable::apply(const journal::Record& record) {
  using journal::Type;
  if (record.type == Type::trim) return trim(decode<journal::Trim>(record));
  if (record.run == 0) return;  // The cell's own.
  // An earlier generation's, on its way when the run was continued.
  if (record.ordinal != 0 && record.ordinal <= run_of(record).base) return;
  switch (record.type) {
    case Type::run_created:
      return create(record);
    case Type::step_start:
      return start_step(record);
    case Type::step_end:
      return end_step(record);
    case Type::step_attempt_failed:
    case Type::step_interrupted:
    case Type::progress:
      return change_step(record);
    case Type::value:
      return add_value(record);
    case Type::event:
      return add_event(record);
    case Type::event_received:
    case Type::wait_matched:
      return receive(record);
    case Type::run_ended:
      return end(record);
    case Type::carried:
      return carry(record);
    case Type::continued:
      return continue_as(record);
    case Type::upgraded:
      run_of(record).agent_digest = decode<journal::Upgraded>(record).agent_digest;
      return;
    case Type::forked_from:
      run_of(record).forked = decode<journal::ForkedFrom>(record);
      return;
    case Type::left:
      run_of(record).left = record.lsn;
      return;
    case Type::run_attempt:
    case Type::cancel_requested:
    case Type::paused:
    case Type::resumed:
      return change_state(record);
    default:
      return;
  }
}

void RunTable::create(const journal::Record& record) {
  const auto body = decode<journal::RunCreated>(record);
  auto& entry = runs_[record.run];
  if (!entry) entry = std::make_shared<Run>();
  Run& run = *entry;
  run.number = record.run;
  run.id = body.run_id;
  run.method = body.method;
  run.agent_digest = body.agent_digest;
  run.agent_language = parse_agent_language(body.agent_language.value_or(""));
  run.setup = body.setup;
  run.started_at = time_of(record);
  run.created = record.lsn;
  run.idempotency_key = body.idem_key;
  add_names(run);
  first_number_ = std::min(first_number_, run.number);
  last_number_ = std::max(last_number_, run.number);
}

void RunTable::add_names(Run& run) {
  numbers_[run.id] = run.number;
  if (!run.idempotency_key) return;
  keys_[*run.idempotency_key] = run.number;
  run.parent = parent_in(*run.idempotency_key);
}

void RunTable::start_step(const journal::Record& record) {
  const auto body = decode<journal::StepStart>(record);
  Run& run = run_of(record);
  Step& step = run.steps[record.ordinal];
  if (step.status == StepStatus::open) run.open.insert(record.ordinal);
  step.ordinal = record.ordinal;
  step.kind = body.kind;
  step.name = body.name;
  step.args_fp = body.args_fp;
  step.policy = body.policy;
  step.sensitive = body.sensitive;
  if (is_wait(body.kind)) step.args = body.args.value_or("{}");
  if (body.kind == "child") step.child = wait_run(step.args);
  if (step.executed == 0) run.noted_bytes += step.name.size() + step.args.size();
  if (step.executed == 0) {
    step.started_at = time_of(record);
    step.begun = record.lsn;
  }
  ++step.executed;
  give_up_said(step, record.lsn);
}

void RunTable::end_step(const journal::Record& record) {
  const auto body = decode<journal::StepEnd>(record);
  Run& run = run_of(record);
  if (run.rollback != 0 && record.ordinal < run.rollback) return;  // It was left.
  Step& step = run.steps[record.ordinal];
  step.status = body.ok ? StepStatus::ok : StepStatus::error;
  if (body.codec != "json") step.codec = body.codec;
  step.sealed = body.sealed;
  step.ended_at = time_of(record);
  step.outcome = record.lsn;
  run.noted_bytes -= step.args.size();
  step.args = std::string();  // It waits for nothing any more.
  run.open.erase(record.ordinal);
  run.newest_end = record.lsn;
  // Waiting is no work, and neither is giving up what was interrupted.
  const bool is_work = !is_wait(step.kind) && step.executions_explained < step.executed;
  if (is_work) run.attempts_without_progress = 0;
}

void RunTable::change_step(const journal::Record& record) {
  Run& run = run_of(record);
  Step& step = run.steps[record.ordinal];
  if (record.type == journal::Type::progress) {
    step.progress = record.lsn;
    hear(run, record.ordinal, decode<journal::Progress>(record).turn, record.lsn);
    return;
  }
  give_up_said(step, record.lsn);
  if (record.type == journal::Type::step_attempt_failed) {
    const auto body = decode<journal::StepAttemptFailed>(record);
    step.failed_attempts = body.attempt;
    step.said_turn = std::max(step.said_turn, body.attempt + 1);
    step.retry_at = from_unix_ms(static_cast<std::int64_t>(body.next_at_ns / 1'000'000));
  } else {
    step.executions_explained = decode<journal::StepInterrupted>(record).attempt;
  }
}

void RunTable::add_value(const journal::Record& record) {
  const auto body = decode<journal::Value>(record);
  Run& run = run_of(record);
  run.newest_end = record.lsn;
  run.noted_bytes += body.name.size();
  run.steps[record.ordinal] = {.ordinal = record.ordinal,
                               .kind = body.kind,
                               .name = body.name,
                               .args_fp = body.args_fp,
                               .status = StepStatus::ok,
                               .executed = 1,
                               .started_at = time_of(record),
                               .ended_at = time_of(record),
                               .begun = record.lsn,
                               .outcome = record.lsn};
  if (body.kind == "setup") setup_done_ = true;
  if (body.kind == kRollback) {
    run.rollback = record.ordinal;
    run.open.clear();  // Whatever was under way is left.
  }
}

void RunTable::add_event(const journal::Record& record) {
  Run& run = run_of(record);
  run.told = record.lsn;
  run.llm_tokens += llm_tokens_of(record);
  const auto body = decode<journal::Event>(record);
  if (record.ordinal == 0) {  // Sent inside a step: sent again when the step is.
    return hear(run, body.step, body.turn, record.lsn);
  }
  if (body.type != "stream" && body.type != "log") {
    if (body.type != kLlmUsage) hear(run, record.ordinal, body.turn, record.lsn);
    return;
  }
  Step& step = run.steps[record.ordinal];
  step.ordinal = record.ordinal;
  step.begun = record.lsn;
  step.kind = "event";
  step.name = body.type;
  step.status = StepStatus::ok;
}

void RunTable::receive(const journal::Record& record) {
  Run& run = run_of(record);
  if (record.type == journal::Type::event_received) {
    const auto body = decode<journal::EventReceived>(record);
    run.events[record.lsn] = {.at = time_of(record), .type = body.type};
    run.event_ids[body.id] = record.lsn;
    return;
  }
  run.events.erase(decode<journal::WaitMatched>(record).event);
}

void RunTable::change_state(const journal::Record& record) {
  Run& run = run_of(record);
  if (record.type == journal::Type::run_attempt) {
    const auto body = decode<journal::RunAttempt>(record);
    run.attempt = body.n;
    run.left = 0;
    give_up_said(run, record.lsn);
    const bool counts = counts_against_budget(body.cause);
    if (counts) ++run.attempts_without_progress;
    for (const std::uint32_t ordinal : run.open) {
      Step& step = run.steps.at(ordinal);
      if (counts && step.is_executed_again()) ++step.ends_under_it;
      step.executions_seen = step.executed;
    }
  } else if (record.type == journal::Type::cancel_requested) {
    run.cancel_requested = true;
    run.cancelled_in_pause = run.status == RunStatus::paused;
    run.undoes = decode<journal::CancelRequested>(record).rollback;
  } else if (record.type == journal::Type::paused) {
    const auto body = decode<journal::Paused>(record);
    give_up_said(run, record.lsn);
    run.status = RunStatus::paused;
    run.told = record.lsn;
    run.reason = body.reason;
    run.detail = body.detail;
    run.cancelled_in_pause = false;
  } else {
    if (decode<journal::Resumed>(record).skips_setup) run.setup = false;
    run.status = RunStatus::running;
    run.cancelled_in_pause = false;
    run.reason.clear();
    run.detail.clear();
    run.attempts_without_progress = 0;
    for (const std::uint32_t ordinal : run.open) run.steps.at(ordinal).ends_under_it = 0;
  }
}

void RunTable::end(const journal::Record& record) {
  const auto body = decode<journal::RunEnded>(record);
  Run& run = run_of(record);
  run.status = body.status == "completed"   ? RunStatus::completed
               : body.status == "cancelled" ? RunStatus::cancelled
                                            : RunStatus::failed;
  run.reason.clear();
  run.ended_at = time_of(record);
  run.ended = record.lsn;
  run.told = record.lsn;
  if (run.setup && run.status == RunStatus::completed) setup_done_ = true;
}

namespace {

// A run that goes on for years gets any number of them.
void forget_old_events(Run& run) {
  if (run.event_ids.size() <= 2 * kEventIdsKept) return;
  std::vector<journal::Lsn> all;
  for (const auto& [id, lsn] : run.event_ids) all.push_back(lsn);
  const auto oldest_kept = all.end() - kEventIdsKept;
  std::nth_element(all.begin(), oldest_kept, all.end());
  std::erase_if(run.event_ids, [&](const auto& entry) { return entry.second < *oldest_kept; });
}

}  // namespace

void RunTable::carry(const journal::Record& record) {
  auto body = decode<journal::Carried>(record);
  Run& run = run_of(record);
  run.carried = record.lsn;
  run.known_events = std::move(body.known_events);
  if (run.created != 0) return;  // Known, all of it.
  run.number = record.run;
  run.id = std::move(body.run_id);
  run.method = std::move(body.method);
  run.agent_digest = std::move(body.agent_digest);
  run.agent_language = parse_agent_language(body.agent_language.value_or(""));
  run.started_at = from_unix_ms(static_cast<std::int64_t>(body.started_ns / 1'000'000));
  run.attempt = body.attempt;
  run.generation = body.generation;
  run.llm_tokens = body.llm_tokens;
  run.forked = {.run_id = std::move(body.forked_run), .ordinal = body.forked_ordinal};
  run.idempotency_key = body.idem_key;
  add_names(run);
}

void RunTable::continue_as(const journal::Record& record) {
  Run& run = run_of(record);
  if (run.carried != 0) {
    if (run.created != 0) {
      run.past_generations.push_back({.created = run.created, .ended_at = time_of(record)});
    }
    run.created = std::exchange(run.carried, 0);
    run.is_carried = true;
  }
  // Older versions said nothing of what the run is: then it is none.
  if (const auto headless = headless_.find(record.run);
      headless != headless_.end() && run.is_carried) {
    runs_[record.run] = std::move(headless->second);  // It is whole from here on.
    headless_.erase(headless);
    last_number_ = std::max(last_number_, record.run);
  }
  run.continued = record.lsn;
  run.base = record.ordinal;
  run.setup = false;
  ++run.generation;
  for (const auto& [ordinal, step] : run.steps) {
    if (!step.has_said || step.status == StepStatus::open) continue;
    run.past.push_back({.ordinal = ordinal,
                        .turn = step.said_turn,
                        .behind = step.said_behind,
                        .outcome = step.outcome});
  }
  run.steps.clear();
  forget_old_events(run);
  run.noted_bytes = 0;
  run.open.clear();
  run.newest_end = record.lsn;
  run.attempts_without_progress = 0;
}

void RunTable::opened(journal::Lsn last) {
  headless_.clear();
  for (auto& [number, run] : runs_) {
    for (const std::uint32_t ordinal : run->open) give_up_said(run->steps.at(ordinal), last);
  }
}

Run* RunTable::find(std::uint32_t number) noexcept {
  const auto found = runs_.find(number);
  return found == runs_.end() ? nullptr : found->second.get();
}

Run* RunTable::find(std::string_view id) noexcept {
  const auto found = numbers_.find(id);
  return found == numbers_.end() ? nullptr : find(found->second);
}

Run* RunTable::find_key(std::string_view idempotency_key) noexcept {
  const auto found = keys_.find(idempotency_key);
  return found == keys_.end() ? nullptr : find(found->second);
}

std::vector<Run*> RunTable::children_of(const Run& parent) { return children_of(parent.id); }

std::vector<Run*> RunTable::children_of(std::string_view parent_id) {
  const std::string prefix = child_prefix(parent_id);
  std::vector<Run*> list;
  for (auto at = keys_.lower_bound(prefix); at != keys_.end() && at->first.starts_with(prefix);
       ++at) {
    list.push_back(find(at->second));
  }
  return list;
}

std::array<std::size_t, kRunStatusCount> RunTable::counts() const {
  std::array<std::size_t, kRunStatusCount> counts{};
  for (const auto& [number, run] : runs_) ++counts[static_cast<std::size_t>(run->shown_status())];
  return counts;
}

std::vector<const Run*> RunTable::newest_first() const {
  std::vector<const Run*> list;
  for (auto at = runs_.rbegin(); at != runs_.rend(); ++at) {
    list.push_back(at->second.get());
  }
  return list;
}

std::vector<Run*> RunTable::unfinished() const {
  std::vector<Run*> list;
  for (const auto& [number, run] : runs_) {
    if (run->status == RunStatus::running || run->status == RunStatus::waiting) {
      list.push_back(run.get());
    }
  }
  return list;
}

const Run* RunTable::paused_in_setup() const {
  if (setup_done_) return nullptr;
  for (const auto& [number, run] : runs_) {
    const bool has_begun = run->setup && !run->steps.empty();
    if (has_begun && run->status == RunStatus::paused) return run.get();
  }
  return nullptr;
}

std::vector<Run*> RunTable::kept_from_ending() const {
  std::vector<Run*> list;
  for (const auto& [number, run] : runs_) {
    const bool is_to_undo = run->cancelled_in_pause && run->undoes;
    const bool is_paused = run->status == RunStatus::paused;
    if (is_paused && (is_to_undo || run->ends_at_once())) list.push_back(run.get());
  }
  return list;
}

}  // namespace cellar::cell
