// Where programs run in the domains, and that nothing is left of them.

#include <signal.h>

#include <algorithm>

#include "async/sleep.h"
#include "base/error.h"
#include "cell/command_parts.h"
#include "cell/domains.h"
#include "sandbox/groups.h"
#include "sys/directory.h"
#include "sys/pid_namespace.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::seconds kGroupEndLimit{10};
constexpr std::chrono::milliseconds kGroupEndPause{20};

// Without root there may be no groups, or groups that count less (sandbox/delegated.h). Throws
// Error.
void require_controllers(const sandbox::CgroupHost& host, const sandbox::ResourceLimits& limits) {
  struct Wanted {
    const char* controller;
    const char* limits;
    bool is_wanted;
  };
  const Wanted all[] = {{"memory", "memory_bytes", limits.memory_bytes != 0},
                        {"pids", "pids", limits.pids_max != 0},
                        {"cpu", "cpu_millis", limits.cpu_millis != 0},
                        {"cpu", "cpu_weight", limits.cpu_weight != 0}};
  for (const Wanted& wanted : all) {
    const auto& there = host.controllers;
    const bool has = std::find(there.begin(), there.end(), wanted.controller) != there.end();
    if (has || !wanted.is_wanted) continue;
    throw Error(ErrorCode::invalid_argument, "limit_not_enforced",
                std::string("this daemon has no cgroups that would limit ") + wanted.limits +
                    " of a command",
                "leave it out, or start the daemon as root or where cgroups are delegated to its "
                "user; `cellar doctor` says why");
  }
}

}  // namespace

asio::awaitable<CommandPlace> Domains::place(Kind kind, sandbox::ResourceLimits limits) {
  const bool is_native = spec_.runtime == sandbox::Runtime::native;
  if (machine_.isolation.rights == sandbox::Rights::user) {
    require_controllers(machine_.cgroup_host, limits);
  }
  if (!is_native && limits != sandbox::ResourceLimits()) {
    throw Error(ErrorCode::invalid_argument, "not_in_gvisor",
                "a command in gVisor has no limits of its own for memory, processes and processor",
                "leave them out, or use a cell whose runtime is native");
  }
  CommandPlace place;
  place.domain = co_await require(kind);
  place.uid = uid_base(kind);
  place.pipes = pipes_;
  place.id = place.domain->new_id();
  place.number = ++program_count_;
  place.note_start = note_of(kind, place.number);
  place.make_terminal = [init = is_native ? of(kind).init : std::nullopt] {
    return make_terminal_in(init);
  };
  if (!has_groups()) {
    place.end_domain = [init = *of(kind).init] { sys::end_members(init); };
    place.count_oom_kills = [] { return std::uint64_t{0}; };
  } else if (is_native) {
    const sandbox::ProgramPlan plan =
        sandbox::plan_program(machine_.cgroup_host, groups_, kind, place.number, limits);
    sandbox::apply(plan, place.uid);
    place.group = plan.group;
    place.join = plan.folders;
    place.count_oom_kills = [memory = plan.memory] { return oom_kills(memory); };
  } else {
    place.end_domain = [group = groups_.domain(kind)] { sandbox::kill_group(group); };
    place.stalls_at_oom = true;
    place.count_oom_kills = [memory = groups_.memory] { return oom_kills(memory); };
  }
  co_return place;
}

CommandPlace Domains::place_of_kept(std::uint64_t number, std::uint32_t program,
                                    std::vector<std::string> joined) {
  CommandPlace place;
  place.domain = of(Kind::shell).link;
  place.uid = uid_base(Kind::shell);
  place.pipes = pipes_;
  place.id = program;
  place.number = number;
  place.join = std::move(joined);
  if (has_groups()) {
    place.group = sandbox::program_group(groups_, Kind::shell, number);
  } else {
    place.end_domain = [init = *of(Kind::shell).init] { sys::end_members(init); };
  }
  return place;
}

void Domains::end_kept(std::uint32_t program) {
  DomainLink& link = *of(Kind::shell).link;
  link.signal(program, SIGKILL);
  link.forget(program);
}

std::function<void(std::uint32_t, const std::vector<std::string>&)> Domains::note_of(
    Kind kind, std::uint64_t number) {
  return [this, kind, number](std::uint32_t pid, const std::vector<std::string>& words) {
    programs_.add(number, std::string(name_of(kind)), pid, words);
  };
}

void Domains::leave(const CommandPlace& place) {
  programs_.remove(place.number);
  kill(place);
  if (place.end_domain) tasks_.spawn(end_surely(place));
  if (place.group.empty()) return;
  std::vector<std::string> folders = place.join;
  folders.push_back(place.group);
  for (const std::string& folder : folders) {
    if (!sandbox::try_remove_group(folder)) tasks_.spawn(remove_when_empty(place, folder));
  }
}

// Whoever waited for it may have gone. What is paused is killed when it goes on.
asio::awaitable<void> Domains::end_surely(CommandPlace place) {
  const bool is_gone = co_await place.domain->ends_within(place.id, kKillLimit);
  if (!is_gone && !is_frozen()) place.end_domain();
}

void Domains::kill_programs() {
  if (slot_.empty()) return;
  if (!has_groups()) {
    const std::vector<sys::ProcessId> all = inits();
    std::for_each(all.begin(), all.end(), sys::end_members);
    return;
  }
  for (const Kind kind : {Kind::agent, Kind::shell}) {
    const std::string domain = groups_.domain(kind);
    // gVisor's programs are in its own group.
    if (spec_.runtime == sandbox::Runtime::gvisor) sandbox::kill_group(domain);
    for (const std::string& name : sys::folders_in(domain)) {
      if (name.starts_with("c")) sandbox::kill_group(domain + "/" + name);
    }
  }
}

asio::awaitable<void> Domains::remove_when_empty(CommandPlace place, std::string folder) {
  auto removed = [place, folder] {
    kill(place);  // What was being started as nobody waited for it any more is here only now.
    return sandbox::try_remove_group(folder);
  };
  co_await async::poll_until("removal of cgroup " + folder, std::move(removed), kGroupEndLimit,
                             kGroupEndPause);
}

}  // namespace cellar::cell
