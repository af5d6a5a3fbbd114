#pragma once

#include <array>
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "async/event.h"
#include "async/pool.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "base/error.h"
#include "cell/capacity.h"
#include "cell/census.h"
#include "cell/cgroups.h"
#include "cell/command.h"
#include "cell/disk_quota.h"
#include "cell/domain_link.h"
#include "cell/egress_port.h"
#include "cell/fresh_cell.h"
#include "cell/layout.h"
#include "cell/machine.h"
#include "cell/process_walk.h"
#include "cell/programs.h"
#include "cell/spawner.h"
#include "cell/spec.h"
#include "cell/vault.h"
#include "cell/warm_agents.h"
#include "image/store.h"
#include "sys/listening_ports.h"
#include "sys/paging.h"
#include "sys/process.h"

namespace cellar::cell {

// A whole domain of a cell, with ids of the cell's own and, until somebody says otherwise, the view
// of the host as its image.
sandbox::DomainSpec domain_spec(const Machine& machine, const CellLayout& layout,
                                const CellSpec& spec, sandbox::DomainKind kind);

// The two domains of a cell: makes, finds, freezes and ends them. Loop thread only.
//
// A domain is a process tree on the host that this object may or may not be connected to: it is
// made by a daemon and found again by the next one.
class Domains {
 public:
  using Kind = sandbox::DomainKind;

  // Why nothing is made where the cell has been paused since it was woken for that.
  static constexpr const char* kPausedMeanwhile = "paused_meanwhile";
  // Whether nothing of what failed so has begun: also where the domain had ended and the loop had
  // not come to it yet.
  static bool has_not_begun(const Error& error) {
    return error.reason() == "domain_lost" || error.reason() == kPausedMeanwhile;
  }

  // All must outlive it.
  Domains(const Machine& machine, const CellLayout& layout, const CellSpec& spec, DiskQuota& disk,
          Vault& vault);
  Domains(const Domains&) = delete;
  Domains& operator=(const Domains&) = delete;

  // Finds the processes that an earlier daemon left, and notes what it started as lost: it ends as
  // soon as its domain runs. But for `kept`, programs that outlive their daemon, as long as the
  // shell domain does. No program gets a number up to `last_number` any more. Blocking for a
  // moment: on the pool, before anything else. hold_ranges() comes next, on the loop thread.
  void find(const std::set<std::uint64_t>& kept, std::uint64_t last_number);
  // Nobody else gets the ranges of ids that the found domains have.
  void hold_ranges();
  bool any_alive();
  // Takes over the domains of a fresh cell, whose files are the cell's by now. No note is taken of
  // them before somebody uses one: until then they end with this daemon. Throws Error; `fresh` is
  // as it was then.
  asio::awaitable<void> adopt(FreshCell& fresh);
  // Nobody has used them yet.
  bool are_fresh() const noexcept { return are_fresh_; }
  // Ends fresh domains, if it has some, a moment later; nothing of the cell is made before that.
  // Throws Error for a file of theirs that cannot be removed.
  void let_go_of_fresh();
  bool is_frozen() const;

  // The programs that an earlier daemon left in the shell domain, and that outlive it; none where
  // the domain has ended. Once. The cell must not be frozen. Throws what require() does.
  asio::awaitable<std::vector<DomainLink::KeptProgram>> take_kept();

  // The domain, made or connected to where it was not. The cell must not be frozen. Throws what
  // require_room() does.
  asio::awaitable<std::shared_ptr<DomainLink>> require(Kind kind);

  // Throws Error `unavailable`, reason Capacity::kReason, where the cell has no processes, or none
  // that was used, and the machine no memory for some.
  void require_room();

  asio::awaitable<void> freeze();
  // Moves, on any thread, what frozen processes have in memory to swap, but for `kept`, until
  // `stop`; says how many bytes went. Nothing goes where there is no swap, or no right to it
  // (sys/paging.h), and nothing of the agent domain of a cell with secrets where swap is on a disk.
  std::function<std::uint64_t()> page_out(sys::WorkingSets kept,
                                          std::shared_ptr<const std::atomic<bool>> stop) const;
  asio::awaitable<void> thaw();
  // Ends both domains with their groups. Nothing of them is left when it returns.
  // What runs in them is lost by `why`.
  asio::awaitable<void> end_all(LostBy why);
  // Lets go of the domains without ending them: the next daemon finds them.
  asio::awaitable<void> close();

  // A place for one program in a domain, which is made where it is not there, and the end of its
  // use: whatever is left in it is killed.
  asio::awaitable<CommandPlace> place(Kind kind, sandbox::ResourceLimits limits = {});
  // The agent domain with an agent host that nobody has had, which goes to this place: where the
  // cell has no processes but fresh ones, and one is ready with the cell's image; nullopt
  // elsewhere. Throws what require() does.
  struct WarmHost {
    CommandPlace place;
    std::shared_ptr<AgentProcess> host;
  };
  asio::awaitable<std::optional<WarmHost>> take_warm_host();
  // That of a program of the shell domain which an earlier daemon started: its number in the cell,
  // what the domain calls it, and the groups it has joined. After take_kept().
  CommandPlace place_of_kept(std::uint64_t number, std::uint32_t program,
                             std::vector<std::string> joined);
  // Of one that nobody knows any more.
  void end_kept(std::uint32_t program);
  void leave(const CommandPlace& place);
  // Kills all programs of both domains.
  void kill_programs();

  // Tells on any thread which processes the cell has then, both domains together.
  std::function<std::vector<pid_t>()> processes() const;
  // How much processor time they have used by then, those that ended included; less than before
  // where they are others now. Throws Error.
  asio::awaitable<std::chrono::microseconds> cpu_used();
  // Processes of the cell, both domains together, but for those that find() noted as lost.
  std::size_t survivor_count() const;
  // What was started in the domains, and is lost with them or with the daemon.
  ProgramRecords& programs() noexcept { return programs_; }
  // What programs of the shell domain listen on; nothing where it does not run. Throws Error.
  asio::awaitable<std::vector<sys::ListeningPort>> listening();
  // A socket in the shell domain's network namespace, without a route for the cell. Throws Error
  // `unavailable`, reason `domain_lost`, where it does not run.
  asio::awaitable<sys::Fd> shell_socket(sandbox::SocketIn::Kind kind);
  // The cell's tier changed.
  void apply_limits();
  // The cell's network policy, limits or secrets changed: holds for new connections when this is
  // called, and on new ports when it returns.
  asio::awaitable<void> apply_network();
  NetworkView network_view() const;
  Network& network() noexcept { return network_; }
  std::uint32_t uid_base(Kind kind) const noexcept;

 private:
  struct Domain {
    std::optional<sys::ProcessId> init;
    sys::Fd connection;                // of a new one, until there is a link
    std::shared_ptr<DomainLink> link;  // shared with what runs over it
    std::unique_ptr<EgressPort> egress;
    sys::Fd network;      // its namespace, and a socket in it that tells of ports; once they
    sys::Fd diagnostics;  // were needed
    bool may_have_remains = false;  // of what an earlier daemon made and took no note of
    std::uint32_t warm_range = 0;  // it was nobody's when it was made, and has no range of the cell
  };
  Domain& of(Kind kind) noexcept { return domains_[static_cast<std::size_t>(kind)]; }
  void find_domains();
  void find_groups(const std::set<std::uint64_t>& kept);
  bool is_alive(Kind kind);
  // False where the domain does not run.
  static bool hold_network(Domain& domain);
  // Else the processes are those of the domains' pid namespaces, and nothing limits them together.
  bool has_groups() const noexcept { return !groups_.cell.empty(); }
  std::vector<sys::ProcessId> inits() const;
  asio::awaitable<void> thaw_now();
  asio::awaitable<std::shared_ptr<DomainLink>> make_or_find(Kind kind);
  asio::awaitable<void> make(Kind kind);
  asio::awaitable<void> make_now(Kind kind);
  // Returns the host's pid of the sandbox.
  asio::awaitable<std::uint32_t> make_in_gvisor(sandbox::DomainSpec domain);
  asio::awaitable<void> connect(Kind kind);
  asio::awaitable<void> open_egress(Kind kind);
  [[noreturn]] void throw_lost(Kind kind) const;
  asio::awaitable<std::optional<WarmHost>> take_warm_host_now();
  asio::awaitable<void> make_own(WarmAgent& warm);
  // The fresh domains are used from now on.
  void begin_use();
  asio::awaitable<void> fresh_gone();
  asio::awaitable<void> remove_groups(sandbox::CgroupPlan groups,
                                      std::shared_ptr<async::Event> removed);
  void remove_record(Kind kind);
  // Notes the domain's cell-init for the next daemon.
  void keep_record(Kind kind);
  void release_warm_range(Kind kind) noexcept;
  sandbox::DomainSpec spec_of(Kind kind) const;
  std::function<void(std::uint32_t pid, const std::vector<std::string>& words)> note_of(
      Kind kind, std::uint64_t number);
  asio::awaitable<std::optional<Error>> try_connect(Kind kind);
  asio::awaitable<void> forget(Kind kind, LostBy why);
  asio::awaitable<void> remove_when_empty(CommandPlace place, std::string folder);
  asio::awaitable<void> end_surely(CommandPlace place);
  std::string image_dir() const;
  std::string record_path(Kind kind) const;
  void set_slot(std::string slot);
  sandbox::CgroupPlan plan_groups(const std::string& slot) const;
  // Takes a slot that the spawner has given the cell, and notes it for the next daemon.
  void keep_slot(const std::string& slot, Kind kind);
  void require_floor() const;

  const Machine& machine_;
  const CellLayout& layout_;
  const CellSpec& spec_;
  DiskQuota& disk_;
  Vault& vault_;
  bool is_slot_kept_ = false;   // on the disk, for the next daemon
  std::string slot_;            // names the groups; empty where the cell has no processes
  sandbox::CgroupPlan groups_;  // of the slot
  bool are_fresh_ = false;
  std::shared_ptr<async::Event> fresh_gone_;  // where fresh domains were let go of
  std::uint64_t program_count_ = 0;
  std::set<std::uint64_t> lost_numbers_;  // of programs that ended with an earlier daemon
  ProgramRecords programs_;
  async::Lane pipes_{machine_.pipes};
  Network network_;
  std::array<Domain, 2> domains_;
  async::Serial serial_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
