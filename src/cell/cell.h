#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/serial.h"
#include "cell/activity.h"
#include "cell/agent_versions.h"
#include "cell/cell_journal.h"
#include "cell/checkpoints.h"
#include "cell/cpu_meter.h"
#include "cell/disk_quota.h"
#include "cell/domains.h"
#include "cell/file_events.h"
#include "cell/files_told.h"
#include "cell/layout.h"
#include "cell/lifecycle.h"
#include "cell/llm_account.h"
#include "cell/ports.h"
#include "cell/process.h"
#include "cell/runner.h"
#include "cell/search_json.h"
#include "cell/secrets.h"
#include "cell/spec.h"
#include "cell/vault.h"
#include "cell/work_files.h"
#include "cell/work_index.h"
#include "store/cell_store.h"
#include "sys/beneath.h"

namespace cellar::cell {

// What a create call sets; nullopt leaves what was there.
struct CellSettings {
  std::optional<std::string> image;         // of a new cell: a name, "default" or "dev"
  std::optional<sandbox::Runtime> runtime;  // of a new cell
  std::optional<std::string> tier;
  std::optional<bool> permanent;
  std::optional<std::string> agent;                          // source text
  AgentLanguage agent_language = AgentLanguage::javascript;  // of `agent`
  std::optional<SecretSet> secrets;
  std::map<std::string, std::optional<Secret>> changed_secrets;  // these alone; nullopt: it goes
  std::optional<NetworkSpec> network;
  std::optional<std::vector<std::string>> allow;  // alone: {allow}, with the limits that were there
  std::optional<LlmSpec> llm;
  std::optional<std::chrono::seconds> idle_timeout;
  std::optional<std::chrono::seconds> max_awake;
  std::optional<std::chrono::seconds> run_retention;
  std::optional<bool> file_events;
  std::optional<PreviewAccess> preview_access;
  std::optional<std::uint16_t> preview_port;  // 0: none
};

struct CellConfig {
  RunnerConfig runner;
  std::chrono::seconds page_out_after{30};  // in the state `paused`; the same:
  std::chrono::seconds hibernate_after{3600};
  std::chrono::seconds unload_after{600};  // hibernated, with nothing to wait for
  unsigned busy_cpu_percent = 5;  // of a processor: processes that use as much are work; 0: none is
  std::chrono::seconds idle_timeout{900};  // of new cells that name none; the same:
  std::chrono::seconds max_awake = kMaxAwake;
  std::chrono::seconds run_retention = kRunRetention;
  OnStop on_stop = OnStop::keep;
  sys::DiskUse disk_max;  // at most, whatever the tier has; 0: what that has
};

// How a cell came back the last time: from a pause, from its disk, or to a new daemon.
struct ResumeReport {
  std::string from;  // "memory", "disk"
  std::size_t survived = 0;
  std::vector<Program> lost;  // in the order in which they were started
  std::chrono::microseconds took{0};
};

// {from, processes: {survived, lost: [{domain, pid, command, lost_by}]}, took_ms}.
json::Value to_json(const ResumeReport& report);

// While a cell is paused: since when, and how much of its memory went to swap.
struct PauseReport {
  SteadyTime since;
  std::optional<std::uint64_t> paged_out_bytes;  // once it was moved
};

// All that a cell shows of itself.
struct CellView {
  CellSpec spec;
  State state = State::active;
  std::vector<Blocker> blockers;
  SteadyTime quiet_since;
  std::optional<SteadyTime> pauses_at;
  std::optional<SteadyTime> stops_at;
  std::optional<PauseReport> pause;
  std::optional<ResumeReport> resume;
  sys::DiskUse disk_limits;
  sys::DiskEnforcer disk_enforcer = sys::DiskEnforcer::counted;
  std::optional<sys::DiskUse> disk_used;  // when it was measured last
  Isolation isolation;
  std::vector<OpenPort> ports;  // that were open when they were looked at last
};

// What a cell has used. Of the processor only what this daemon has seen.
struct CellUse {
  net::Usage network;
  std::chrono::microseconds cpu{0};
  WallTime cpu_since;
  std::size_t run_count = 0;   // that are kept
  std::size_t step_count = 0;  // done in them
};

struct Metrics {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::chrono::microseconds busy{0};
  std::chrono::steady_clock::time_point since;
};

// One customer's cell: its files, commands, database, search, runs and states. Loop thread only;
// what blocks goes to the pool. Calls on a cell that was deleted meanwhile throw Error `not_found`.
class Cell : private RunnerHost {
 public:
  // What it is given must outlive it. open() comes next.
  Cell(const Machine& machine, const CellConfig& config, const Sealer& sealer, CellLayout layout,
       CellSpec spec);
  ~Cell() override;
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  // Reads the journal, finds the processes that an earlier daemon left, and lets unfinished runs go
  // on. A new cell is active, an old one what its processes say. Until then only spec() and view()
  // may be called, and what ends it; it says that it is hibernated.
  enum class Origin : std::uint8_t { made, found };
  asio::awaitable<void> open(Origin origin);
  // Takes over the domains of a fresh cell, whose files it has been opened with. Throws Error; it
  // gets domains of its own then.
  asio::awaitable<void> adopt(FreshCell& fresh) { return domains_.adopt(fresh); }
  // Ends them where nobody has used them.
  void let_go_of_fresh() { domains_.let_go_of_fresh(); }
  bool is_open() const noexcept { return open_; }
  // It was not opened yet; one that is closed or destroyed stays so.
  bool awaits_open() const noexcept { return !was_opened_; }
  // Lets go of everything; processes stay for the next daemon, or end (CellConfig::on_stop).
  asio::awaitable<void> close() { return close(config_.on_stop); }
  asio::awaitable<void> close(OnStop on_stop);
  // Whether it sleeps with nothing to wait for, and nobody has looked at it since before `then`:
  // what it holds of memory can be read from the disk again.
  bool is_unused_since(SteadyTime then) const;
  // Closes it, so that another one can be opened in its place; after this only spec() and view().
  asio::awaitable<void> unload();
  // That other one, before it is opened: what was told goes on, of what no file holds.
  void go_on_from(const Cell& before);
  // Runs that are kept, by status; also while it is not open.
  std::array<std::size_t, kRunStatusCount> run_counts() const;
  // What the daemon runs in it now is lost with the daemon.
  void expect_end() { domains_.programs().lose_all(LostBy::daemon); }
  // Ends all that runs in it, as its files are about to be deleted. Nobody uses it from then on;
  // where it throws, it may be called again.
  asio::awaitable<void> destroy();
  // Its files are gone, too: until then it can be deleted again.
  void set_gone() noexcept { is_half_deleted_ = false; }

  // Throws Error `invalid_argument` or `too_large` for what apply() would refuse.
  static void check(const CellSettings& settings);

  const CellSpec& spec() const noexcept { return spec_; }
  CellView view() const;
  State state() const noexcept { return state_; }
  // Wakes nobody.
  NetworkView network() const { return domains_.network_view(); }
  const LlmAccount& llm_account() const noexcept { return llm_; }
  asio::awaitable<CellUse> used();
  asio::awaitable<void> apply(CellSettings settings);
  // By their names. Throws what Vault::open() does.
  asio::awaitable<SecretSet> secrets();

  // ---- states: each returns once the cell is in the state ----
  asio::awaitable<void> pause();
  asio::awaitable<void> resume();
  // `reason` is told. Throws Error `conflict`, reason `cell_busy`, where somebody waits for what it
  // does.
  asio::awaitable<void> hibernate(std::string reason);
  // Wakes it, and keeps it awake for so long from now on, whatever an earlier call said. Durable
  // when it returns. 0: no longer.
  asio::awaitable<void> keep_alive(std::chrono::seconds length);
  static constexpr std::chrono::seconds kKeepAliveMax = std::chrono::hours(24);
  // From this time on it is brought back as resume() does, once; a later call replaces it, nullopt
  // takes it back. It does not wake by this call. Durable when it returns.
  asio::awaitable<void> wake_at(std::optional<WallTime> at);
  static constexpr std::chrono::seconds kWakeAheadMax = std::chrono::hours(366 * 24);
  // Whether that time has come; for some seconds not, where keep_appointment() has failed.
  bool is_to_wake(WallTime now) const noexcept;
  // Brings it back, and forgets the time. The cell must be open. Throws Error where there is no
  // room for it: it is to be called again then.
  asio::awaitable<void> keep_appointment();
  // What its idle timer says; called every second while it has one.
  asio::awaitable<void> tick();
  bool has_timers() const noexcept { return open_ && state_ != State::hibernated; }
  // Since when it could be hibernated to make room for others; nullopt where it cannot, or would
  // give nothing.
  std::optional<SteadyTime> spare_since();
  // Tells those who watch the cell: an event of its own, soon durable. Of more than kToldMax in ten
  // seconds, and where its journal takes nothing, the rest is left out; the next says how many.
  void tell(std::string type, json::Value data);
  static constexpr std::size_t kToldMax = 200;
  // Says that somebody uses the cell as long as the activity exists, and wakes it. One that was
  // hibernated has no processes then, unless they need the shell: each domain starts when it has
  // something to do.
  enum class Needs : std::uint8_t { files, shell };
  asio::awaitable<ActivityLog::Activity> use(std::string kind, std::string detail,
                                             Needs needs = Needs::files);
  // The same without waking it: for those who only watch.
  ActivityLog::Activity watch(std::string kind, std::string detail) {
    return activities_.begin(std::move(kind), std::move(detail));
  }

  // ---- its preview ----
  // A way to a server in the shell domain: a socket that is to be connected to what listens.
  struct Door {
    sys::Fd socket;
    sys::ListeningPort to;
  };
  // To the port `wanted`, or the one that the settings and choose_port() say; nullopt where nobody
  // listens there. The cell should be awake.
  asio::awaitable<std::optional<Door>> open_door(std::optional<std::uint16_t> wanted);
  // Somebody sends bytes to what runs in it: wakes it where it sleeps.
  asio::awaitable<void> stay_awake();
  // Looks at which ports are open, and tells of those that opened or closed.
  asio::awaitable<void> watch_ports();

  // ---- what a cell does ----
  const sys::BeneathDir& work() const { return *work_; }
  // What changes them.
  WorkFiles& files() { return *files_; }
  // Before a file of that size is written there. Throws Error `exhausted`, reason `disk_quota`.
  asio::awaitable<void> require_room(std::uint64_t bytes, std::uint64_t files = 1);
  async::Pool& pool() { return machine_.pool; }
  // Who reads its files on the pool has a turn here first, one of two at a time: a cell leaves
  // threads for others.
  async::Serial& file_turns() noexcept { return file_turns_; }
  // Throws what Checkpoints says, and Error `unavailable` where the machine has no disk left.
  asio::awaitable<checkpoint::Head> make_checkpoint(CheckpointRequest request);
  asio::awaitable<checkpoint::Head> remove_checkpoint(std::string wanted);
  Checkpoints& checkpoints() { return *checkpoints_; }
  asio::awaitable<CommandResult> exec(CommandRequest request, OnOutput on_output);
  // A program in the background. Throws what Process::start() does, and Error `exhausted`, reason
  // `too_many_processes`, where kProcessesMax run.
  asio::awaitable<std::shared_ptr<Process>> start_process(ProcessRequest request);
  // Those that run, and the newest kProcessesMax that ended; the oldest first.
  const std::vector<std::shared_ptr<Process>>& processes() const noexcept { return processes_; }
  // Throws Error `not_found`, reason `process_not_found`.
  std::shared_ptr<Process> process(std::string_view id) const;
  // Ends it, where it runs, and forgets it. Throws as process().
  asio::awaitable<void> remove_process(std::string id);
  static constexpr std::size_t kProcessesMax = 64;
  asio::awaitable<WorkIndex::Answer> search(SearchRequest request);
  asio::awaitable<WorkIndex::SymbolAnswer> search_symbols(SymbolRequest request);
  asio::awaitable<WorkIndex::Status> search_status();
  // The part of the files that was read, while the rest is; nullopt where nobody reads on.
  std::optional<double> indexing() const noexcept;
  // Returns once more was read, or nobody reads on any more; false where `limit` passed first.
  asio::awaitable<bool> indexed_more(std::chrono::milliseconds limit);
  // Documents beside the files; a name is put once. Throws as search::Index::check_document().
  // `place`: of the run that asks for it (RunnerHost::call()).
  asio::awaitable<void> put_document(std::string path, std::string text,
                                     std::optional<store::CallPlace> place = std::nullopt);
  // False where there was none.
  asio::awaitable<bool> remove_document(std::string path,
                                        std::optional<store::CallPlace> place = std::nullopt);
  // Whether a method of that name is one of the contract that needs no agent.
  static bool answers(std::string_view method) noexcept;
  // Such a method's result; nullopt for any other.
  asio::awaitable<std::optional<std::string>> answer(std::string method, std::string params);
  // Starts a run of the agent. Throws Error `not_found`, reason `agent_missing`.
  asio::awaitable<Runner::Started> start_run(std::string method, std::string params,
                                             std::optional<std::string> idempotency_key);
  void count_request(bool failed, std::chrono::microseconds took);

  AgentVersions& versions() noexcept { return versions_; }
  RunTable& runs() noexcept { return runs_; }
  CellJournal& journal() { return *journal_; }
  // Those who read its events, or what its processes write, look whether they still may.
  void wake_watchers() {
    if (journal_) journal_->wake_watchers();
    for (const auto& process : processes_) process->wake_watchers();
  }
  Runner& runner() { return *runner_; }

 private:
  asio::awaitable<std::shared_ptr<AgentProcess>> start_agent(AgentLanguage language) override;
  asio::awaitable<std::string> shell(std::uint32_t run, std::string request,
                                     OnOutput on_output) override;
  void kill_commands(std::uint32_t run) override;
  asio::awaitable<std::string> call(std::string op, std::string arguments,
                                    std::optional<store::CallPlace> place) override;
  asio::awaitable<void> wake_up() override;
  LlmAccount& llm() override { return llm_; }
  std::vector<std::string> agent_output(std::size_t count_max) const override;
  std::string seal_value(std::string_view plain) const override;
  std::optional<std::string> open_value(std::string_view sealed) const override;
  void generation_ended() override;
  bool is_awake() const override { return state_ == State::active && !is_leaving_; }

  asio::awaitable<void> wake(Needs needs);
  asio::awaitable<void> apply_now(CellSettings settings);
  asio::awaitable<void> apply_secrets(CellSettings settings, CellSpec& next);
  asio::awaitable<Secrets> agent_environment();
  // A place in the shell domain, in which the cell's authority is trusted; what commands have in
  // their environment is added to `command`.
  asio::awaitable<CommandPlace> shell_place(CommandRequest& command);
  asio::awaitable<void> trust_authority(std::shared_ptr<net::TlsAuthority> authority);
  asio::awaitable<void> wake_now(Needs needs);
  // Its timers ask for what was due a moment ago: it is done where it still is.
  enum class Asked : std::uint8_t { from_outside, by_timer };
  asio::awaitable<void> pause_now(Asked asked);
  asio::awaitable<void> hibernate_now(Asked asked, std::string reason);
  asio::awaitable<void> stop_now();
  // Ends the processes; only what is on disk stays. In a turn of transitions.
  asio::awaitable<void> end_processes(std::string reason, LostBy why);
  asio::awaitable<void> keep_alive_now(std::chrono::seconds length);
  asio::awaitable<void> wake_at_now(std::optional<WallTime> at);
  // What is noted of its last use, every kUseNotedEvery: a use does not write to the disk for it.
  void recall_use(SteadyTime quiet_since);
  asio::awaitable<void> note_use();
  static constexpr std::chrono::seconds kUseNotedEvery{10};
  asio::awaitable<void> measure_cpu();
  // Lets the agent of a permanent cell run again, where it has ended: after 1 s, 2 s, … 60 s.
  void keep_agent();
  asio::awaitable<std::shared_ptr<AgentProcess>> try_start_agent(AgentLanguage language);
  asio::awaitable<void> start_agent_anew();
  void forget_cpu();
  void count_cpu(std::chrono::microseconds used) noexcept;
  std::vector<Blocker> blockers() const;
  LifecycleView lifecycle(std::size_t blocker_count) const;
  bool is_still_due(Action action) const;
  asio::awaitable<void> thaw_or_start(Needs needs);
  bool has_runs_to_recover();
  void recover_runs();
  asio::awaitable<void> remove_old_runs();
  asio::awaitable<void> make_journal_room();
  CellJournal::Used used_of_runs() const;
  // Moves a paused cell's memory to swap.
  asio::awaitable<void> page_out(std::shared_ptr<std::atomic<bool>> stop);
  asio::awaitable<void> end_with_daemon();
  asio::awaitable<void> learn_working_sets();
  void watch_memory(SteadyTime now);
  asio::awaitable<void> forget_touched();
  void stop_paging() noexcept;
  void report_return(std::string from, std::chrono::microseconds took);
  asio::awaitable<CommandResult> run_in_shell(std::uint32_t run, CommandRequest request,
                                              OnOutput on_output);
  // A command of a run, from when it is asked for. One that is killed earlier gets no place.
  struct RunCommand {
    std::optional<CommandPlace> place;
    bool is_killed = false;
  };
  asio::awaitable<CommandResult> try_in_shell(RunCommand& command, CommandRequest request,
                                              OnOutput on_output);
  asio::awaitable<std::shared_ptr<Process>> start_in_shell(ProcessRequest request);
  asio::awaitable<void> attend(std::shared_ptr<Process> process, CommandPlace place,
                               DiskQuota::Use disk);
  void tell_process_end(const Process& process);
  void find_processes(std::vector<ProcessRecord> records);
  // Attends to the processes that an earlier daemon left, and ends those of which nothing is known.
  // The cell must not be frozen.
  asio::awaitable<void> adopt_processes();
  asio::awaitable<void> adopt_or_freeze();
  asio::awaitable<bool> try_adopt(std::shared_ptr<Process> process, DomainLink::KeptProgram kept);
  asio::awaitable<void> lose_process(std::shared_ptr<Process> process, LostBy why);
  asio::awaitable<void> lose_unattended(LostBy why);
  asio::awaitable<void> forget_old_processes();
  void set_disk_limits();
  void limit_journal();
  // The files of the agent's versions that the cell, or a run of it, goes on with.
  std::set<std::string> versions_in_use() const;
  void end_programs_over_quota();
  // Runs `job(store::CellStore&)` on the pool, one at a time.
  template <typename Job>
  auto with_store(Job job) -> asio::awaitable<std::invoke_result_t<Job&, store::CellStore&>>;
  // The same on the search index.
  template <typename Job>
  auto with_index(Job job) -> asio::awaitable<std::invoke_result_t<Job&, WorkIndex&>>;
  // The same where it is loaded already; else it is loaded with what is stored.
  template <typename Job>
  asio::awaitable<void> change_index(Job job);
  // After each use: what it did not read is read in slices, between which queries are answered, and
  // what is worth it is saved.
  void care_for_index();
  asio::awaitable<void> keep_indexing();
  // Writes what the index knows to disk, unless that is there.
  asio::awaitable<void> save_index();
  // Once the cell is not awake: files are not watched, as nobody changes them; and a hibernated
  // cell's index is on disk only.
  asio::awaitable<void> rest_index();
  asio::awaitable<json::Value> call_search(std::string op, json::Value arguments,
                                           std::optional<store::CallPlace> place);
  asio::awaitable<std::string> answer_file_method(std::string method, json::Value params);
  json::Value logs(const json::Value& params) const;
  json::Value metrics() const;
  asio::awaitable<bool> copy_database(std::string path);
  asio::awaitable<void> save_spec(CellSpec spec);
  void require_open() const;
  std::optional<sys::DiskUse> disk_used() const;
  void note_ports(const std::vector<sys::ListeningPort>& listening);
  // What happens to its files goes into its events, where its settings want that. In a turn of
  // transitions: before it wakes up, with the reason to tell if what happened before is not known;
  // and once nothing happens any more.
  asio::awaitable<void> begin_file_events(std::string why);
  asio::awaitable<void> rest_file_events(FilesToldFor how_long);
  asio::awaitable<void> change_file_events();
  asio::awaitable<void> recall_file_events();
  asio::awaitable<void> begin_recalled_file_events();
  asio::awaitable<void> close_file_events();
  asio::awaitable<bool> tell_files(json::Value data);
  asio::awaitable<void> tell_files_unknown(std::string why);
  asio::awaitable<void> note_files_told(FilesToldFor how_long);
  asio::awaitable<void> forget_files_told();
  // What somebody waits for.
  std::vector<Blocker> waited_for() const;

  const Machine& machine_;
  const CellConfig& config_;
  const Sealer& sealer_;
  const std::string value_context_;  // that values of sensitive steps are sealed in
  CellLayout layout_;
  CellSpec spec_;
  AgentVersions versions_;
  State state_ = State::hibernated;
  bool is_leaving_ = false;  // `active`: who comes now waits for its turn, and wakes the cell
  bool open_ = false;
  bool was_opened_ = false;
  SteadyTime loaded_since_;  // was_opened_
  // What is told of it until that is known anew.
  struct Told {
    std::array<std::size_t, kRunStatusCount> runs{};
    std::optional<sys::DiskUse> disk_used;
  };
  Told told_before_;
  bool is_half_deleted_ = false;     // destroy() ends its processes, or has failed at that
  bool makes_journal_room_ = false;  // or waits for its turn
  bool index_loaded_ = false;        // its snapshot, and the agent's documents, are in the index
  // gVisor keeps the mappings of a program that ended: no watch tells of what was stored there.
  bool has_untold_changes_ = false;
  bool is_indexing_ = false;        // keep_indexing() runs
  std::optional<double> indexing_;  // the part that it has read
  async::Event indexed_;            // it read more, or ended
  bool recovery_waits_ = false;     // unfinished runs go on when the cell wakes up
  std::optional<PauseReport> pause_;
  std::shared_ptr<std::atomic<bool>> paging_;  // since its memory is moved; true: it stops
  sys::WorkingSets working_sets_;              // what the first answer needed: it is not moved
  bool is_unlearned_ = false;                  // what it needed the last time was not looked at yet
  SteadyTime watch_memory_after_;
  std::chrono::microseconds cpu_watched_{0};  // by its processes, when that was
  std::optional<ResumeReport> resume_;
  ActivityLog activities_;
  PortTable ports_;
  SteadyTime awake_since_ = steady_now();  // or asked for something since
  SteadyTime noted_use_;                   // what the disk says of it
  SteadyTime note_use_after_;
  WallTime kept_alive_since_ = wall_now();
  WallTime wake_not_before_;  // an attempt to wake it as it is to has failed
  CpuMeter cpu_;
  std::chrono::microseconds cpu_used_{0};  // since opened_at_, by all processes it had
  std::chrono::microseconds cpu_seen_{0};  // by those that it has, when they were looked at last
  WallTime opened_at_ = wall_now();
  std::optional<WallTime> busy_since_;  // its processes are at work
  std::chrono::seconds agent_backoff_{0};
  std::chrono::steady_clock::time_point agent_started_at_;  // by keep_agent()
  Metrics metrics_;
  struct Telling {
    std::chrono::steady_clock::time_point since;
    std::size_t count = 0;     // since then
    std::size_t left_out = 0;  // and not said yet
  };
  Telling telling_;
  std::deque<std::string> log_lines_;  // what the agent printed, the newest last

  Vault vault_;
  LlmAccount llm_;
  async::Serial trust_turns_;
  std::weak_ptr<DomainLink> trusting_;  // the shell domain that trusts the cell's authority
  OutputRoom outputs_{OutputRoom::kCellBytesMax, machine_.outputs.get()};
  Domains domains_;
  RunTable runs_;
  std::unique_ptr<sys::BeneathDir> work_;
  std::unique_ptr<WorkFiles> files_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::unique_ptr<CellJournal> journal_;
  std::unique_ptr<FileEvents> file_events_;  // where they are wanted, until it hibernates
  std::optional<FilesToldFor> files_told_;   // what is noted of them: nothing while it is awake
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<store::CellStore> store_;
  std::unique_ptr<WorkIndex> index_;
  async::Serial transitions_;
  async::Serial store_turns_;
  async::Serial index_turns_;
  async::Serial file_turns_{machine_.executor, async::SerialLimits{.at_once = 2}};
  async::Serial snapshot_turns_;                           // before a turn of the index
  std::multimap<std::uint32_t, RunCommand> run_commands_;  // by their run
  const ProcessHome process_home_;
  std::vector<std::shared_ptr<Process>> processes_;   // shared with who watches them
  std::vector<std::shared_ptr<Process>> unattended_;  // run, and no daemon attends to them yet
  std::size_t starting_count_ = 0;                    // of processes, not in the list yet
  DiskQuota quota_;
  async::TaskGroup moves_;      // of its memory: they are given up where the cell is closed
  async::TaskGroup attending_;  // to processes
  async::TaskGroup changes_;    // of state and settings: they end whether their caller stays or not
};

template <typename Job>
auto Cell::with_store(Job job) -> asio::awaitable<std::invoke_result_t<Job&, store::CellStore&>> {
  const auto turn = co_await store_turns_.turn();
  require_open();
  auto work = [this, job = std::move(job)]() mutable {
    if (!store_) store_ = std::make_unique<store::CellStore>(layout_.database());
    return job(*store_);
  };
  co_return co_await async::offload(machine_.pool, std::move(work));
}

}  // namespace cellar::cell
