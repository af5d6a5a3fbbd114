#include "cell/cell.h"

#include <signal.h>

#include <algorithm>
#include <set>

#include "async/aside.h"
#include "async/run_to_end.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/sha256.h"
#include "cell/last_use.h"
#include "cell/output_log.h"
#include "json/json.h"
#include "json/reader.h"
#include "sandbox/groups.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::cell {
namespace {

constexpr std::uint64_t kJournalBytesLeast = 64 << 20;
constexpr std::size_t kLogLinesMax = 2000;
// Of what a command has printed, as an agent is given it: less than a frame takes.
constexpr std::size_t kShellTextMax = 200 << 20;

}  // namespace

Cell::Cell(const Machine& machine, const CellConfig& config, const Sealer& sealer,
           CellLayout layout, CellSpec spec)
    : machine_(machine),
      config_(config),
      sealer_(sealer),
      value_context_(spec.cell_id + "/value"),
      layout_(std::move(layout)),
      spec_(std::move(spec)),
      versions_(machine.executor, machine.pool, layout_, [this] { return versions_in_use(); }),
      indexed_(machine.executor),
      vault_(machine.pool, sealer, layout_, spec_.cell_id),
      llm_(machine.executor, machine.pool, machine.models, spec_.llm, spec_.cell_id, layout_.llm()),
      trust_turns_(machine.executor),
      domains_(machine, layout_, spec_, quota_, vault_),
      transitions_(machine.executor),
      store_turns_(machine.executor),
      index_turns_(machine.executor),
      snapshot_turns_(machine.executor),
      process_home_{machine.executor, machine.pool, layout_.processes()},
      quota_(
          machine.executor, machine.pool, layout_.limited(),
          [this] { return domains_.processes(); }, [this] { end_programs_over_quota(); }),
      moves_(machine.executor),
      attending_(machine.executor),
      changes_(machine.executor) {
  metrics_.since = std::chrono::steady_clock::now();
  set_disk_limits();
  domains_.network().on_refusal(
      [this](const Network::Refused& refused) { tell("network.refused", to_json(refused)); });
}

Cell::~Cell() = default;

// ---- life ----

asio::awaitable<void> Cell::open(Origin origin) {
  fault_point("cell.before_open");
  const std::uint32_t root =
      machine_.isolation.rights == sandbox::Rights::user ? sandbox::kUserIdBase : 0;
  std::vector<ProcessRecord> processes;
  auto find = [this, root, &processes] {
    layout_.create(machine_.disk_enforcer, root);
    processes = find_process_records(layout_.processes());
    std::set<std::uint64_t> kept;
    std::uint64_t last_number = 0;
    for (const ProcessRecord& process : processes) {
      if (process.outlives_daemon && !process.end) kept.insert(process.number);
      last_number = std::max(last_number, process.number);
    }
    domains_.find(kept, last_number);
    llm_.load();
  };
  co_await async::offload(machine_.pool, find);
  domains_.hold_ranges();  // Whatever becomes of this cell: its domains are there.
  find_processes(std::move(processes));
  std::optional<SteadyTime> last_use;
  auto prepare = [this, root, &last_use] {
    last_use = decode_last_use(sys::read_file(layout_.last_use()));
    if (spec_.file_events) files_told_ = decode_files_told(sys::read_file(layout_.files_told()));
    work_ = std::make_unique<sys::BeneathDir>(layout_.work(), root);
    files_ = std::make_unique<WorkFiles>(machine_.executor, machine_.pool, *work_);
    checkpoints_ = std::make_unique<Checkpoints>(machine_.executor, machine_.pool, *work_,
                                                 layout_.checkpoints());
    index_ = std::make_unique<WorkIndex>(*work_);
    journal_ =
        std::make_unique<CellJournal>(machine_.executor, machine_.pool, *machine_.journal_writers,
                                      layout_.journal(), spec_.cell_id, runs_);
    journal_->measure(machine_.measures.journal_sync);
    versions_.remove_unused();
  };
  co_await async::offload(machine_.pool, prepare);
  co_await quota_.enforce();
  co_await remove_old_runs();
  RunnerHost& host = *this;
  runner_ = std::make_unique<Runner>(machine_.executor, *journal_, runs_, host, config_.runner);
  if (origin == Origin::made) journal_->prepare();
  open_ = was_opened_ = true;
  loaded_since_ = steady_now();
  limit_journal();  // It may make a file from here on: what fails now has to close it.
  const bool frozen = domains_.any_alive() && domains_.is_frozen();
  const bool may_sleep = origin == Origin::found && !spec_.permanent;
  state_ = frozen                               ? State::paused
           : domains_.any_alive() || !may_sleep ? State::active
                                                : State::hibernated;
  runner_->recover_waits(frozen);
  for (const auto& process : unattended_) co_await process->load_output();
  if (!frozen) co_await adopt_processes();
  // Nobody had to wait for it, but it came back all the same.
  if (state_ == State::active && origin == Origin::found) report_return("memory", {});
  if (last_use && domains_.any_alive()) recall_use(*last_use);
  co_await recall_file_events();
  if (frozen) {
    pause_ = PauseReport{.since = activities_.quiet_since()};
    recovery_waits_ = true;
    runner_->recover_woken();
  } else {
    recover_runs();
  }
}

asio::awaitable<void> Cell::remove_old_runs() {
  const bool is_kept_for_good = spec_.run_retention.count() == 0;
  try {
    const auto used = [this] { return used_of_runs(); };
    co_await journal_->trim(is_kept_for_good ? WallTime::min() : wall_now() - spec_.run_retention,
                            used);
  } catch (const Error& error) {  // The cell is of use all the same.
    log::warning("cell {}: runs that ended long ago: {}", log::cell(spec_.cell_id), error.what());
  }
}

bool Cell::has_runs_to_recover() {
  const std::vector<Run*> unfinished = runs_.unfinished();
  const bool may_stay = std::all_of(unfinished.begin(), unfinished.end(),
                                    [](const Run* run) { return run->has_left(); });
  return !may_stay || !runs_.kept_from_ending().empty();
}

// Asked of each cell every second: what takes a look at its runs comes last.
bool Cell::is_unused_since(SteadyTime then) const {
  if (!open_ || state_ != State::hibernated || spec_.permanent) return false;
  if (std::max(loaded_since_, activities_.quiet_since()) >= then) return false;
  const bool is_used = !blockers().empty() || runner_->has_requests() || !unattended_.empty() ||
                       std::any_of(processes_.begin(), processes_.end(),
                                   [](const auto& process) { return !process->has_ended(); });
  const bool is_on_disk =
      !journal_->is_broken() && journal_->last_durable() == journal_->last_appended();
  return !is_used && is_on_disk && runs_.unfinished().empty() && runs_.kept_from_ending().empty();
}

asio::awaitable<void> Cell::unload() {
  co_await close(OnStop::keep);
  runner_.reset();
  journal_.reset();  // Another one may open it from here on.
}

void Cell::go_on_from(const Cell& before) {
  log_lines_ = before.log_lines_;
  metrics_ = before.metrics_;
  resume_ = before.resume_;
  cpu_used_ = before.cpu_used_;
  opened_at_ = before.opened_at_;
  told_before_ = {.runs = before.run_counts(), .disk_used = before.disk_used()};
  activities_.recall(before.activities_.quiet_since());
}

std::array<std::size_t, kRunStatusCount> Cell::run_counts() const {
  return was_opened_ ? runs_.counts() : told_before_.runs;
}

std::optional<sys::DiskUse> Cell::disk_used() const {
  const auto& measured = quota_.ledger().used();
  return measured ? measured : told_before_.disk_used;
}

void Cell::recover_runs() {
  recovery_waits_ = false;
  if (!has_runs_to_recover()) return;
  if (state_ != State::active) report_return("disk", {});
  state_ = State::active;
  runner_->recover("daemon_restart");
}

asio::awaitable<void> Cell::close(OnStop on_stop) {
  if (awaits_open()) co_return;
  open_ = false;
  stop_paging();
  co_await moves_.close();  // They may wait for those of other cells.
  co_await checkpoints_->close();
  co_await changes_.join();
  co_await attending_.close();
  co_await note_use();
  expect_end();
  co_await runner_->close();
  co_await quota_.close();
  if (on_stop == OnStop::hibernate) co_await end_with_daemon();
  if (state_ == State::hibernated) co_await rest_file_events(FilesToldFor::good);
  if (file_events_) co_await file_events_->settle();
  co_await close_file_events();
  co_await domains_.close();
  co_await journal_->close();
  const auto store_turn = co_await store_turns_.turn();
  auto close_store = [this] { store_.reset(); };
  co_await async::offload(machine_.pool, close_store);
}

// Its unfinished runs go on under the next daemon, as after a crash of this one.
asio::awaitable<void> Cell::end_with_daemon() {
  if (state_ == State::hibernated) co_return;
  try {
    fault_point("cell.before_end");
    co_await domains_.end_all(LostBy::daemon);
    state_ = State::hibernated;
    fault_point("cell.ended");
  } catch (const Error& error) {  // The next daemon finds what is left of it.
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("cell {}: it is not hibernated: {}", log::cell(spec_.cell_id), error.what());
  }
}

asio::awaitable<void> Cell::destroy() {
  if (awaits_open()) require_open();
  open_ = false;
  stop_paging();
  co_await moves_.close();  // They may wait for those of other cells.
  co_await checkpoints_->close();
  co_await changes_.join();
  co_await runner_->close();
  co_await close_file_events();
  co_await quota_.close();
  is_half_deleted_ = true;
  fault_point("cell.before_destroy");
  co_await domains_.end_all(LostBy::deleted);
  co_await lose_unattended(LostBy::deleted);
  co_await attending_.join();  // Their processes are lost by that, and not by the daemon's end.
  co_await domains_.close();
  co_await journal_->close();
  const auto store_turn = co_await store_turns_.turn();
  store_.reset();
}

void Cell::require_open() const {
  if (open_) return;
  if (is_half_deleted_) {
    throw Error(ErrorCode::not_found, "cell_half_deleted",
                "cell " + spec_.cell_id + " is being deleted, or could not be to the end",
                "delete it again; the daemon's log says what was in the way");
  }
  throw Error(ErrorCode::not_found, "cell_not_found", "cell " + spec_.cell_id + " is gone");
}

CellView Cell::view() const {
  CellView view;
  view.spec = spec_;
  view.state = state_;
  view.blockers = blockers();
  view.quiet_since = activities_.quiet_since();
  view.pause = pause_;
  view.resume = resume_;
  view.disk_limits = quota_.ledger().limits();
  view.disk_enforcer = quota_.ledger().enforcer();
  view.disk_used = disk_used();
  view.isolation = machine_.isolation;
  view.ports = ports_.list();
  const LifecycleView lifecycle = this->lifecycle(view.blockers.size());
  view.pauses_at = pauses_at(lifecycle);
  view.stops_at = stops_at(lifecycle);
  if (spec_.permanent) {
    view.blockers.push_back({"permanent", "it never pauses by itself", spec_.created_at});
  }
  return view;
}

// ---- settings ----

void Cell::check(const CellSettings& settings) {
  if (settings.tier) tier_of(*settings.tier);
  if (settings.network) cell::check(*settings.network);
  if (settings.allow) net::Policy::parse({.allow = *settings.allow});
  if (settings.agent) AgentVersions::check(*settings.agent);
  if (settings.secrets) cell::check(*settings.secrets);
  for (const auto& [name, secret] : settings.changed_secrets) {
    SecretSet one;
    if (secret) one.emplace(name, *secret);
    cell::check(one);
  }
}

asio::awaitable<void> Cell::apply(CellSettings settings) {
  check(settings);
  if (settings.network) check_forwards(*settings.network, machine_.forwards);
  require_open();
  co_await async::run_to_end(changes_, apply_now(std::move(settings)));
}

asio::awaitable<void> Cell::apply_now(CellSettings settings) {
  const auto turn = co_await transitions_.turn();
  require_open();
  CellSpec next = spec_;
  if (settings.tier) next.tier = tier_of(*settings.tier).id;
  if (settings.permanent) next.permanent = *settings.permanent;
  if (settings.network) next.network = *settings.network;
  if (settings.allow) {
    next.network = {.policy = {.allow = *settings.allow}, .limits = spec_.network.limits};
  }
  if (settings.llm) next.llm = *settings.llm;
  if (settings.idle_timeout) next.idle_timeout = *settings.idle_timeout;
  if (settings.max_awake) next.max_awake = *settings.max_awake;
  if (settings.run_retention) next.run_retention = *settings.run_retention;
  if (settings.file_events) next.file_events = *settings.file_events;
  if (settings.preview_access) next.preview_access = *settings.preview_access;
  if (settings.preview_port) {
    next.preview_port.reset();
    if (*settings.preview_port != 0) next.preview_port = settings.preview_port;
  }
  if (settings.agent) {
    std::string source = std::move(*settings.agent);
    AgentVersion version =
        co_await versions_.keep_as_current(settings.agent_language, std::move(source));
    next.agent_digest = std::move(version.digest);
    next.agent_language = version.language;
  }
  const bool new_secrets = settings.secrets || !settings.changed_secrets.empty();
  const bool new_network = settings.allow || settings.network;
  Secrets environment_before;
  if (new_secrets || new_network) environment_before = co_await agent_environment();
  if (new_secrets) co_await apply_secrets(settings, next);
  if ((new_secrets || new_network) && has_rules(next.network)) {
    co_await vault_.require_authority();
  }
  const bool new_tier = next.tier != spec_.tier;
  const bool new_file_events = next.file_events != spec_.file_events;
  if (new_file_events) co_await forget_files_told();
  co_await save_spec(next);
  if (new_file_events) co_await change_file_events();
  if (new_tier) {
    domains_.apply_limits();
    set_disk_limits();
    co_await quota_.enforce();
  }
  if (new_network || new_secrets) co_await domains_.apply_network();
  // The environment of a running agent host is what it was started with.
  if (!new_network && !new_secrets) co_return;
  const Secrets environment = co_await agent_environment();
  if (environment != environment_before) runner_->stop_agent("settings");
}

asio::awaitable<void> Cell::save_spec(CellSpec spec) {
  spec.last_active_at = wall_now();
  auto write = [this, text = cell::encode(spec)] { sys::replace_file(layout_.record(), text); };
  co_await async::offload(machine_.pool, std::move(write));
  spec_ = std::move(spec);
}

// ---- the disk ----

void Cell::set_disk_limits() {
  const Limits& tier = tier_of(spec_.tier).limits;
  const auto least = [](std::uint64_t a, std::uint64_t b) { return b == 0 ? a : std::min(a, b); };
  quota_.set_limits({least(tier.disk_bytes, config_.disk_max.bytes),
                     least(tier.inodes, config_.disk_max.inodes)});
  limit_journal();
}

// It may take as much again as the files of the cell.
void Cell::limit_journal() {
  if (journal_) journal_->limit(std::max(quota_.ledger().limits().bytes, kJournalBytesLeast));
}

void Cell::end_programs_over_quota() {
  const sys::DiskUse used = quota_.ledger().used().value_or(sys::DiskUse());
  log::warning("cell {}: it has {} bytes in {} files, too much: what runs in it is ended",
               log::cell(spec_.cell_id), used.bytes, used.inodes);
  domains_.kill_programs();
}

asio::awaitable<void> Cell::require_room(std::uint64_t bytes, std::uint64_t files) {
  require_open();
  co_await quota_.require_room(bytes, files);
}

// ---- commands and runs ----

asio::awaitable<CommandResult> Cell::exec(CommandRequest request, OnOutput on_output) {
  co_return co_await run_in_shell(0, std::move(request), std::move(on_output));
}

asio::awaitable<CommandResult> Cell::run_in_shell(std::uint32_t run, CommandRequest request,
                                                  OnOutput on_output) {
  struct Entry {
    std::multimap<std::uint32_t, RunCommand>& all;
    std::multimap<std::uint32_t, RunCommand>::iterator at;
    ~Entry() { all.erase(at); }
  } const entry{run_commands_, run_commands_.emplace(run, RunCommand())};
  RunCommand& command = entry.at->second;
  try {
    co_return co_await try_in_shell(command, request, on_output);
  } catch (const Error& error) {
    if (!Domains::has_not_begun(error)) throw;
  }
  co_await wake(Needs::shell);
  co_return co_await try_in_shell(command, std::move(request), std::move(on_output));
}

asio::awaitable<CommandResult> Cell::try_in_shell(RunCommand& command, CommandRequest request,
                                                  OnOutput on_output) {
  const DiskQuota::Use disk = quota_.begin_use();
  const std::uint64_t ended_before = quota_.end_count();
  command.place = co_await shell_place(request);
  // However it ends: the place goes, and the run does not name it any more.
  struct Leave {
    Cell& cell;
    RunCommand& command;
    ~Leave() {
      cell.domains_.leave(*command.place);
      command.place.reset();
      if (cell.spec_.runtime == sandbox::Runtime::gvisor) cell.has_untold_changes_ = true;
    }
  } const leave{*this, command};
  if (command.is_killed) {  // Before it had a place.
    CommandResult never_begun;
    never_begun.signal = SIGKILL;
    never_begun.exit_code = 128 + SIGKILL;
    co_return never_begun;
  }
  CommandResult result =
      co_await run_command(*command.place, std::move(request), std::move(on_output), outputs_);
  result.disk_full = result.signal == SIGKILL && quota_.end_count() != ended_before;
  co_return result;
}

std::string Cell::seal_value(std::string_view plain) const {
  return sealer_.seal(plain, value_context_);
}

std::optional<std::string> Cell::open_value(std::string_view sealed) const {
  return sealer_.open(sealed, value_context_);
}

void Cell::kill_commands(std::uint32_t run) {
  const auto [first, last] = run_commands_.equal_range(run);
  for (auto at = first; at != last; ++at) {
    at->second.is_killed = true;
    if (at->second.place) kill(*at->second.place);
  }
}

namespace {

// Control characters take six times as much in JSON: of what is more than an agent can be given,
// the first half counts, and so on.
std::string encode_within(CommandResult& result) {
  std::string text = encode(result, Names::ctx);
  while (text.size() > kShellTextMax) {
    for (std::string* bytes : {&result.stdout_bytes, &result.stderr_bytes}) {
      bytes->resize(bytes->size() / 2);
      bytes->resize(bytes->size() - unfinished_character(*bytes));
    }
    result.truncated = true;
    text = encode(result, Names::ctx);
  }
  return text;
}

}  // namespace

asio::awaitable<std::string> Cell::shell(std::uint32_t run, std::string request,
                                         OnOutput on_output) {
  const std::size_t request_bytes = request.size();
  auto read = [request = std::move(request)] { return parse_command(request, Names::ctx); };
  CommandRequest command =
      co_await async::work_aside(machine_.pool, request_bytes, std::move(read));
  CommandResult result = co_await run_in_shell(run, std::move(command), std::move(on_output));
  const bool is_explained = result.timed_out || result.oom || result.disk_full;  // In gVisor.
  if (result.lost && !is_explained) {
    throw Error(
        ErrorCode::unavailable, "domain_lost",
        "the command was lost with its domain (" + std::string(name_of(*result.lost)) + ")");
  }
  const std::size_t size = result.stdout_bytes.size() + result.stderr_bytes.size();
  const auto held = std::move(result.held);  // It belongs to this thread.
  auto encode = [result = std::move(result)]() mutable { return encode_within(result); };
  co_return co_await async::work_aside(machine_.pool, size, std::move(encode));
}

asio::awaitable<std::shared_ptr<AgentProcess>> Cell::start_agent(AgentLanguage language) {
  co_await wake(Needs::files);
  try {
    co_return co_await try_start_agent(language);
  } catch (const Error& error) {
    if (error.reason() != Domains::kPausedMeanwhile) throw;
  }
  co_await wake(Needs::files);
  co_return co_await try_start_agent(language);
}

asio::awaitable<std::shared_ptr<AgentProcess>> Cell::try_start_agent(AgentLanguage language) {
  AgentProcess::Options options;
  options.language = language;
  options.cell_id = spec_.cell_id;
  options.image = spec_.image;
  const auto contents = co_await vault_.open();
  if (spec_.has_secrets && contents->secrets.empty()) {
    throw Error(ErrorCode::unavailable, "secrets_sealed", "the cell's secrets are not there",
                "create the cell again with its secrets");
  }
  options.secrets = contents->environment(Domains::Kind::agent);
  options.on_output = [this](std::string line) {
    log_lines_.push_back(std::move(line));
    if (log_lines_.size() > kLogLinesMax) log_lines_.pop_front();
  };
  options.on_end = [this, disk = quota_.begin_use()](const CommandPlace& place) {
    domains_.leave(place);
  };
  if (AgentProcess::may_be_warm(options)) {
    std::optional<Domains::WarmHost> warm = co_await domains_.take_warm_host();
    if (warm) {
      warm->host->become(std::move(warm->place), std::move(options));
      co_return std::move(warm->host);
    }
  }
  CommandPlace place = co_await domains_.place(Domains::Kind::agent);
  co_return co_await AgentProcess::start(machine_.executor, std::move(place), std::move(options));
}

asio::awaitable<Runner::Started> Cell::start_run(std::string method, std::string params,
                                                 std::optional<std::string> idempotency_key) {
  require_open();
  if (spec_.agent_digest.empty()) {
    throw Error(ErrorCode::not_found, "agent_missing",
                "no such method: cell " + spec_.cell_id + " has no agent",
                "create the cell again with \"agent\" set to the agent's source");
  }
  Runner::Start start{.method = std::move(method),
                      .params = std::move(params),
                      .digest = spec_.agent_digest,
                      .language = spec_.agent_language,
                      .idempotency_key = std::move(idempotency_key)};
  domains_.require_room();
  co_return co_await runner_->start(std::move(start));
}

std::set<std::string> Cell::versions_in_use() const {
  std::set<std::string> names;
  const auto add = [&names](const std::string& digest, AgentLanguage language) {
    names.insert(AgentVersion{.digest = digest, .language = language}.file_name());
  };
  add(spec_.agent_digest, spec_.agent_language);
  for (const Run* run : runs_.newest_first()) add(run->agent_digest, run->agent_language);
  return names;
}

void Cell::count_request(bool failed, std::chrono::microseconds took) {
  ++metrics_.requests;
  if (failed) ++metrics_.errors;
  metrics_.busy += took;
}

}  // namespace cellar::cell
