#include "cell/domains.h"

#include <algorithm>
#include <span>

#include "async/run_to_end.h"
#include "async/sleep.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "cell/domain_record.h"
#include "cell/slots.h"
#include "sandbox/groups.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/folder_identity.h"
#include "sys/pid_namespace.h"

namespace cellar::cell {
namespace {

using Kind = Domains::Kind;

constexpr std::chrono::seconds kGreetingLimit{10};
constexpr std::chrono::seconds kEndLimit{10};
constexpr std::chrono::milliseconds kEndPollPause{20};

// Programs have groups of their own, "c" and the program's number; 0 for another group.
std::uint64_t program_number_of(std::string_view group) {
  if (!group.starts_with("c")) return 0;
  return static_cast<std::uint64_t>(parse_int(group.substr(1)).value_or(0));
}

std::uint32_t own_uid_base(Kind kind, const CellSpec& spec) {
  return kind == Kind::agent ? agent_uid_base(spec.uid_index) : shell_uid_base(spec.uid_index);
}

constexpr std::array kBoth = {Kind::agent, Kind::shell};

// All of these domains, but for the programs with these numbers.
std::vector<pid_t> processes_but(const std::set<std::uint64_t>& left_out,
                                 const sandbox::CgroupPlan& groups,
                                 std::span<const Kind> kinds = kBoth) {
  std::vector<pid_t> found;
  for (const Kind kind : kinds) {
    for (const std::string& name : sys::folders_in(groups.domain(kind))) {
      if (left_out.contains(program_number_of(name))) continue;
      const std::string path = groups.domain(kind) + "/" + name + "/cgroup.procs";
      const std::string text = sys::read_file(path).value_or("");
      for (const std::string_view line : split(text, '\n')) {
        if (const auto pid = parse_int(line)) found.push_back(static_cast<pid_t>(*pid));
      }
    }
  }
  return found;
}

// The group's processes may be moved to swap as long as it exists; as they run, they may not
// (sandbox/cgroup.cc). v1 lets nobody but page_out() do it.
class SwapAllowed {
 public:
  explicit SwapAllowed(std::string memory_folder) : folder_(std::move(memory_folder)) {
    set_swap(folder_, Swap::allowed);
  }
  SwapAllowed(const SwapAllowed&) = delete;
  SwapAllowed& operator=(const SwapAllowed&) = delete;
  ~SwapAllowed() { set_swap(folder_, Swap::never); }

 private:
  const std::string folder_;
};

// Writes one of the small files that tell the next daemon of a domain. Nothing of an agent's
// outlives the daemon: it does without where the disk is full, and its group is killed as a lost
// one. False for that.
template <typename Write>
bool take_note(Kind kind, Write write) {
  try {
    write();
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::exhausted) throw;
    if (kind == Kind::agent) {
      log::warning("an agent's domain is in no note: {}", error.what());
      return false;
    }
    log::warning("a domain is not made: {}", error.what());
  }
  throw Error(ErrorCode::exhausted, std::string(kDiskFull),
              "the disk has no room for what the cell needs to wake up: nothing was begun in it",
              "free disk space where the state folder is");
}

}  // namespace

sandbox::DomainSpec domain_spec(const Machine& machine, const CellLayout& layout,
                                const CellSpec& spec, Kind kind) {
  const Limits& limits = tier_of(spec.tier).limits;
  sandbox::DomainSpec domain;
  domain.cell_id = spec.cell_id;
  domain.kind = kind;
  domain.runtime = spec.runtime;
  domain.rights = machine.isolation.rights;
  domain.cell_dir = layout.dir;
  domain.uid_base = own_uid_base(kind, spec);
  domain.tmp_bytes = limits.tmp_bytes;
  domain.pids_max = limits.pids_max;
  if (kind == Kind::agent) domain.binds.push_back({machine.agent_host_dir, kAgentHostFolder});
  return domain;
}

Domains::Domains(const Machine& machine, const CellLayout& layout, const CellSpec& spec,
                 DiskQuota& disk, Vault& vault)
    : machine_(machine),
      layout_(layout),
      spec_(spec),
      disk_(disk),
      vault_(vault),
      programs_(layout.programs()),
      network_(spec.cell_id, layout.network()),
      serial_(machine.executor),
      tasks_(machine.executor) {}

std::uint32_t Domains::uid_base(Kind kind) const noexcept {
  if (machine_.isolation.rights == sandbox::Rights::user) return sandbox::kUserIdBase;
  const std::uint32_t warm = domains_[static_cast<std::size_t>(kind)].warm_range;
  if (warm != 0) return warm;
  return own_uid_base(kind, spec_);
}

std::string Domains::record_path(Kind kind) const {
  return layout_.run() + "/" + std::string(name_of(kind)) + ".json";
}

void Domains::set_slot(std::string slot) {
  slot_ = std::move(slot);
  groups_ = slot_.empty() ? sandbox::CgroupPlan() : plan_groups(slot_);
  is_slot_kept_ = false;
}

sandbox::CgroupPlan Domains::plan_groups(const std::string& slot) const {
  const Limits& limits = tier_of(spec_.tier).limits;
  const sandbox::ResourceLimits resources{.memory_bytes = limits.memory_bytes,
                                          .pids_max = limits.pids_max,
                                          .cpu_millis = limits.cpu_millis,
                                          .cpu_weight = limits.cpu_weight,
                                          .io_weight = limits.cpu_weight};
  return sandbox::plan_cgroups(machine_.cgroup_host, machine_.daemon_group, slot, resources);
}

// Nothing of the agent's domain outlives the daemon: it does without what was tried before.
void Domains::keep_slot(const std::string& slot, Kind kind) {
  if (slot == slot_ && (is_slot_kept_ || kind == Kind::agent)) return;
  if (slot != slot_) set_slot(slot);
  is_slot_kept_ = take_note(kind, [this] { write_slot(layout_, slot_); });
}

// ---- finding ----

void Domains::find(const std::set<std::uint64_t>& kept, std::uint64_t last_number) {
  network_.load();
  set_slot(read_slot(layout_));
  if (!slot_.empty()) find_domains();
  const bool are_kept = is_alive(Kind::shell);
  programs_.find(are_kept ? kept : std::set<std::uint64_t>());
  program_count_ = std::max(last_number, programs_.last_number());
  if (!slot_.empty()) find_groups(are_kept ? kept : std::set<std::uint64_t>());
}

void Domains::find_domains() {
  set_swap(groups_.memory, Swap::never);  // The earlier one may have ended while it allowed it.
  // Or on the way to a pause: what goes on stopping would stand still in a cell that is awake.
  if (has_groups()) undo_half_freeze(groups_.cell);
  const std::string folder = sys::folder_identity(layout_.run());
  for (const Kind kind : {Kind::agent, Kind::shell}) {
    if (const auto record = decode_domain_record(sys::read_file(record_path(kind)), folder)) {
      of(kind).init = record->init;
      of(kind).warm_range = record->uid_base;
    }
    if (!is_alive(kind)) {
      of(kind).init.reset();
      of(kind).warm_range = 0;
    }
    of(kind).may_have_remains = !of(kind).init;
  }
}

// Those of an earlier daemon's programs: their numbers are not given again.
void Domains::find_groups(const std::set<std::uint64_t>& kept) {
  for (const Kind kind : {Kind::agent, Kind::shell}) {
    for (const std::string& name : sys::folders_in(groups_.domain(kind))) {
      const std::uint64_t number = program_number_of(name);
      program_count_ = std::max(program_count_, number);
      if (number == 0 || kept.contains(number)) continue;
      lost_numbers_.insert(number);
      const std::string group = groups_.domain(kind) + "/" + name;
      // Beside what is kept cell-init looks for what is not; what forks meanwhile is missed.
      if (!kept.empty()) sandbox::kill_group(group);
      sandbox::try_remove_group(group);
    }
  }
}

asio::awaitable<std::vector<DomainLink::KeptProgram>> Domains::take_kept() {
  if (!is_alive(Kind::shell)) co_return std::vector<DomainLink::KeptProgram>();
  const auto link = co_await require(Kind::shell);
  co_return link->take_kept();
}

bool Domains::is_alive(Kind kind) {
  const auto& init = of(kind).init;
  return init && sys::identify(init->pid) == *init;
}

bool Domains::any_alive() { return is_alive(Kind::agent) || is_alive(Kind::shell); }

bool Domains::is_frozen() const {
  if (slot_.empty()) return false;
  if (has_groups()) return cell::is_frozen(groups_.cell);
  const std::vector<sys::ProcessId> all = inits();
  return std::any_of(all.begin(), all.end(), sys::is_stopped);
}

std::vector<sys::ProcessId> Domains::inits() const {
  std::vector<sys::ProcessId> all;
  for (const Domain& domain : domains_) {
    if (domain.init) all.push_back(*domain.init);
  }
  return all;
}

std::function<std::vector<pid_t>()> Domains::processes() const {
  if (!has_groups()) {
    return [all = inits()] {
      std::vector<pid_t> found;
      for (const sys::ProcessId& init : all) {
        // Its own children are who keeps programs together (init/subtree.h).
        for (const sys::Member& member : sys::members_of(init)) {
          if (member.parent != init.pid) found.push_back(member.pid);
        }
      }
      return found;
    };
  }
  return [slot = slot_, groups = groups_] {
    return slot.empty() ? std::vector<pid_t>() : processes_but({}, groups);
  };
}

asio::awaitable<std::chrono::microseconds> Domains::cpu_used() {
  if (has_groups()) {
    auto read = [group = groups_.cell] {
      fault_point("cell.reading_cpu");
      return cell::cpu_used(group);
    };
    co_return co_await async::offload(machine_.pool, std::move(read));
  }
  const auto found = co_await machine_.processes.latest();
  std::chrono::microseconds used{0};
  for (const sys::ProcessId& init : inits()) {
    const auto domain = found->find(sys::pid_namespace_of(init.pid));
    if (domain == found->end() || sys::identify(init.pid) != init) continue;
    for (const sys::Member& member : domain->second) {
      if (member.pid != init.pid) used += member.cpu;
    }
  }
  co_return used;
}

std::size_t Domains::survivor_count() const {
  return slot_.empty() ? 0 : processes_but(lost_numbers_, groups_).size();
}

// ---- making ----

// The floor may have been raised since the cell was made.
void Domains::require_floor() const {
  if (spec_.runtime >= machine_.runtime_floor) return;
  throw Error(ErrorCode::unavailable, "runtime_too_weak",
              "cell " + spec_.cell_id + " runs on " + std::string(name_of(spec_.runtime)) +
                  ", weaker than this daemon's floor, " +
                  std::string(name_of(machine_.runtime_floor)),
              "copy its files, delete it and create it again");
}

asio::awaitable<std::shared_ptr<DomainLink>> Domains::require(Kind kind) {
  require_floor();
  const Domain& domain = of(kind);
  if (domain.link && !domain.link->is_lost()) co_return domain.link;
  co_return co_await async::run_to_end(tasks_, make_or_find(kind));
}

asio::awaitable<std::shared_ptr<DomainLink>> Domains::make_or_find(Kind kind) {
  Domain& domain = of(kind);
  const auto turn = co_await serial_.turn();
  if (domain.link && !domain.link->is_lost()) co_return domain.link;
  if (spec_.tier != CellSpec().tier) let_go_of_fresh();  // It has changed since.
  if (are_fresh_) begin_use();
  const bool found = !domain.link && is_alive(kind);
  if (found) {
    const std::optional<Error> failure = co_await try_connect(kind);
    if (!failure) co_return domain.link;
    // The daemon's own want of something is no reason to end what runs there.
    if (failure->code() == ErrorCode::exhausted && is_alive(kind)) throw *failure;
    log::warning("cell {}: its {} domain is made anew: {}", log::cell(spec_.cell_id), name_of(kind),
                 failure->what());
  }
  if (domain.link || domain.init) co_await forget(kind, LostBy::domain);
  co_await make(kind);
  const std::optional<Error> failure = co_await try_connect(kind);
  if (failure) {  // It is of no use to anybody.
    co_await forget(kind, LostBy::domain);
    throw *failure;
  }
  co_return domain.link;
}

asio::awaitable<std::optional<Error>> Domains::try_connect(Kind kind) {
  try {
    fault_point("domain.before_connect");
    co_await connect(kind);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    co_return error;
  }
  co_return std::nullopt;
}

void Domains::require_room() {
  for (const Domain& domain : domains_) {
    if (domain.link && !domain.link->is_lost()) return;
  }
  if (are_fresh_ || !any_alive()) machine_.capacity.require_memory();
}

asio::awaitable<void> Domains::make(Kind kind) {
  require_room();
  if (!any_alive()) machine_.capacity.let_in();
  co_await disk_.loosen();
  std::optional<Error> failure;
  try {
    co_await make_now(kind);
  } catch (const Error& error) {
    failure = error;
  }
  if (failure && has_groups()) {  // Nobody took note of what may have been made.
    of(kind).may_have_remains = true;
    sandbox::kill_group(groups_.domain(kind));
  }
  if (disk_.ledger().enforcer() != sys::DiskEnforcer::counted) co_await disk_.enforce();
  if (failure) throw *failure;
}

asio::awaitable<void> Domains::make_now(Kind kind) {
  co_await fresh_gone();
  // Who was paused in the groups may have been killed there: what is made would stand still, too.
  // Or the cell was paused since this was asked for.
  if (has_groups() && is_frozen()) {
    if (any_alive()) throw Error(ErrorCode::unavailable, kPausedMeanwhile, "it was paused");
    co_await thaw_now();
  }
  if (of(kind).may_have_remains) co_await end_group(groups_.domain(kind));
  of(kind).may_have_remains = false;
  sandbox::DomainSpec domain = spec_of(kind);
  std::uint32_t pid = 0;
  if (spec_.runtime == sandbox::Runtime::gvisor) {
    pid = co_await make_in_gvisor(std::move(domain));
  } else {
    Spawner::Domain made = co_await machine_.spawner.make_domain(
        std::move(domain), layout_.domain_socket(kind), slot_);
    of(kind).connection = std::move(made.connection);
    keep_slot(made.slot, kind);
    pid = made.pid;
  }
  sandbox::apply(groups_);  // The limits: nothing of the cell runs yet.
  of(kind).init = sys::identify(static_cast<pid_t>(pid));
  if (!of(kind).init) throw Error(ErrorCode::unavailable, "domain_lost", "cell-init ended at once");
  keep_record(kind);
}

sandbox::DomainSpec Domains::spec_of(Kind kind) const {
  sandbox::DomainSpec domain = domain_spec(machine_, layout_, spec_, kind);
  domain.image_dir = image_dir();
  domain.uid_base = uid_base(kind);
  return domain;
}

void Domains::keep_record(Kind kind) {
  const DomainRecord record{*of(kind).init, of(kind).warm_range};
  take_note(kind, [&] {
    const std::string text = encode(record, sys::folder_identity(layout_.run()));
    sys::replace_file(record_path(kind), text, 0600, sys::Durable::no);
  });
}

asio::awaitable<std::uint32_t> Domains::make_in_gvisor(sandbox::DomainSpec domain) {
  const Kind kind = domain.kind;
  auto launch = co_await machine_.spawner.launch_in_gvisor(std::move(domain),
                                                           layout_.domain_socket(kind), slot_);
  keep_slot(launch.slot(), kind);
  try {
    co_return co_await launch.finish();
  } catch (...) {  // Canceled, too: nobody takes note of what was made.
    of(kind).may_have_remains = true;
    sandbox::kill_group(groups_.domain(kind));
    throw;
  }
}

// Where the cell's image is; empty for the view of the host.
std::string Domains::image_dir() const {
  if (spec_.image_digest.empty()) return {};
  const auto image = machine_.images.find(spec_.image_digest);
  if (image) return image->dir;
  throw Error(ErrorCode::unavailable, "image_missing",
              "the image \"" + spec_.image + "\" of this cell, " + spec_.image_digest +
                  ", is not in the state folder any more",
              "copy its folder back to images/ of the state folder");
}

asio::awaitable<void> Domains::connect(Kind kind) {
  Domain& domain = of(kind);
  const std::string path = layout_.domain_socket(kind);
  const bool in_gvisor = spec_.runtime == sandbox::Runtime::gvisor;
  sys::Fd socket = std::move(domain.connection);
  if (!socket) socket = in_gvisor ? sys::rendezvous_connect(path) : sys::seqpacket_connect(path);
  auto link = std::make_shared<DomainLink>(machine_.executor, std::move(socket));
  auto serve = [](std::shared_ptr<DomainLink> served) -> asio::awaitable<void> {
    co_await served->serve();
  };
  tasks_.spawn(serve(link));
  co_await link->greeted(kGreetingLimit);
  co_await open_egress(kind);
  domain.link = std::move(link);
}

void Domains::apply_limits() {
  if (slot_.empty()) return;
  set_slot(slot_);
  sandbox::apply(groups_);
}

asio::awaitable<void> Domains::apply_network() {
  network_.meter().set_limits(spec_.network.limits);
  const auto contents = co_await vault_.open_for_network();
  for (const Kind kind : kBoth) {
    if (!of(kind).egress) continue;
    of(kind).egress->set_policy(net::Policy::parse(spec_.network.of(kind)));
    of(kind).egress->set_injection(contents->injection(kind), contents->authority);
  }
  const auto turn = co_await serial_.turn();
  for (Domain& domain : domains_) {
    if (domain.egress) co_await domain.egress->listen(machine_.spawner);
  }
}

NetworkView Domains::network_view() const {
  NetworkView view{.spec = spec_.network,
                   .usage = network_.meter().usage(),
                   .used_before = network_.used_before(),
                   .refusals = network_.refusals()};
  for (const Domain& domain : domains_) {
    if (!domain.egress) continue;
    view.open_count += domain.egress->open_count();
    const auto& taken = domain.egress->taken_ports();
    view.taken_ports.insert(taken.begin(), taken.end());
  }
  return view;
}

// ---- freezing and ending ----

asio::awaitable<void> Domains::freeze() {
  const auto turn = co_await serial_.turn();
  let_go_of_fresh();
  if (has_groups()) {
    co_await cell::freeze(groups_.cell);
    co_return;
  }
  auto stop = [all = inits()] {
    try {
      std::for_each(all.begin(), all.end(), sys::stop_members);
    } catch (const Error&) {  // Half a pause is none.
      std::for_each(all.begin(), all.end(), sys::continue_members);
      throw;
    }
  };
  co_await async::offload(machine_.pool, std::move(stop));
}

std::function<std::uint64_t()> Domains::page_out(
    sys::WorkingSets kept, std::shared_ptr<const std::atomic<bool>> stop) const {
  if (!has_groups()) return [] { return std::uint64_t{0}; };
  return [kept = std::move(kept), stop = std::move(stop), groups = groups_, memory = groups_.memory,
          has_secrets = spec_.has_secrets] {
    fault_point("paging.before_move");
    if (sys::free_swap() == 0) return std::uint64_t{0};
    // The agent's memory holds the secrets: they are on no disk.
    const bool spares_agent = has_secrets && !sys::swap_is_in_memory();
    const std::span<const Kind> kinds = std::span(kBoth).subspan(spares_agent ? 1 : 0);
    const std::vector<pid_t> all = processes_but({}, groups, kinds);
    const std::uint64_t before = sys::resident_bytes(all);
    {
      const SwapAllowed allowed(memory);
      sys::page_out(all, kept, *stop);
    }
    const std::uint64_t after = sys::resident_bytes(all);
    return before > after ? before - after : 0;
  };
}

asio::awaitable<void> Domains::thaw() {
  const auto turn = co_await serial_.turn();
  co_await thaw_now();
}

asio::awaitable<void> Domains::thaw_now() {
  if (has_groups()) {
    co_await cell::thaw(groups_.cell);
    co_return;
  }
  auto go_on = [all = inits()] { std::for_each(all.begin(), all.end(), sys::continue_members); };
  co_await async::offload(machine_.pool, std::move(go_on));
}

asio::awaitable<void> Domains::forget(Kind kind, LostBy why) {
  Domain& domain = of(kind);
  domain.connection.reset();
  if (domain.link) domain.link->close(why);
  domain.link.reset();
  if (domain.egress) co_await domain.egress->close();
  domain.egress.reset();
  domain.network.reset();
  domain.diagnostics.reset();
  if (has_groups()) {
    co_await end_group(groups_.domain(kind));
  } else if (domain.init) {
    sys::end_members(*domain.init);
  }
  auto gone = [this, kind] { return !is_alive(kind); };
  co_await async::poll_until("end of a domain", std::move(gone), kEndLimit, kEndPollPause);
  domain.init.reset();
  release_warm_range(kind);
  remove_record(kind);
}

void Domains::remove_record(Kind kind) {
  const std::string socket = layout_.domain_socket(kind);
  sys::remove_file(record_path(kind));
  sys::remove_file(socket);
  sys::remove_tree(sandbox::runsc_folder(socket));
}

asio::awaitable<void> Domains::end_all(LostBy why) {
  const auto turn = co_await serial_.turn();
  let_go_of_fresh();
  co_await fresh_gone();
  if (has_groups() && is_frozen()) co_await thaw_now();
  co_await forget(Kind::agent, why);
  co_await forget(Kind::shell, why);
  if (slot_.empty()) co_return;
  co_await cell::remove(groups_);
  set_slot({});
  forget_slot(layout_);
}

asio::awaitable<void> Domains::close() {
  try {
    let_go_of_fresh();
  } catch (const Error& error) {  // A file of them stays, which the next daemon does not read.
    log::warning("cell {}: {}", log::cell(spec_.cell_id), error.what());
  }
  co_await fresh_gone();
  for (Domain& domain : domains_) {
    if (domain.link) domain.link->close(LostBy::daemon);
  }
  co_await tasks_.close();  // One of them may still connect to a domain, and open its egress.
  for (Domain& domain : domains_) {
    domain.link.reset();
    if (domain.egress) co_await domain.egress->close();
    domain.egress.reset();
    domain.network.reset();
    domain.diagnostics.reset();
  }
}

}  // namespace cellar::cell
