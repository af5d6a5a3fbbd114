#include "init/subtree.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "base/text.h"
#include "init/clone.h"
#include "init/proc.h"

namespace cellar::init {
namespace {

const int kEndSignal = SIGRTMIN + 5;  // no program of ours uses it
// How often it is looked for processes that were not stopped yet. A tree that never stands still is
// killed while it runs.
constexpr int kStopPassesMax = 200;

// Parent of each process that /proc shows.
std::map<pid_t, pid_t> read_parents() {
  std::map<pid_t, pid_t> parents;
  for (const pid_t pid : all_processes()) {
    const std::string stat = read_proc(pid, "stat");
    const std::size_t name_end = stat.rfind(") ");  // Behind the name come state and parent.
    if (name_end == std::string::npos) continue;
    const auto fields = split(std::string_view(stat).substr(name_end + 2), ' ');
    const auto parent = fields.size() > 1 ? parse_int(fields[1]) : std::nullopt;
    if (parent) parents[pid] = static_cast<pid_t>(*parent);
  }
  return parents;
}

std::set<pid_t> descendants_of(pid_t root) {
  const std::map<pid_t, pid_t> parents = read_parents();
  std::set<pid_t> found;
  for (const auto& [pid, parent] : parents) {
    // Up to `root`; a list that was read while it changed may have a circle in it.
    pid_t at = pid;
    for (std::size_t steps = 0; at != root && steps <= parents.size(); ++steps) {
      const auto above = parents.find(at);
      if (above == parents.end()) break;
      at = above->second;
    }
    if (at == root && pid != root) found.insert(pid);
  }
  return found;
}

// What forks while it is looked for is stopped first: then nothing is missed.
template <typename Look>
std::set<pid_t> stop_all(Look look) {
  std::set<pid_t> stopped;
  for (int pass = 0; pass < kStopPassesMax; ++pass) {
    bool any_new = false;
    for (const pid_t pid : look()) {
      if (!stopped.insert(pid).second) continue;
      any_new = true;
      ::kill(pid, SIGSTOP);
    }
    if (!any_new) break;
  }
  return stopped;
}

// Takes note of the program's end; false where no child is left.
bool reap(pid_t program, std::optional<int>& status) {
  for (;;) {
    int ended = 0;
    const pid_t pid = ::waitpid(-1, &ended, WNOHANG);
    if (pid == 0) return true;
    if (pid == -1) return errno == EINTR;
    if (pid == program) status = ended;
  }
}

void end_all(pid_t program, std::optional<int>& status) {
  const timespec pause{0, 1'000'000};
  while (reap(program, status)) {
    stop_all([] { return descendants_of(::getpid()); });
    for (const pid_t pid : descendants_of(::getpid())) ::kill(pid, SIGKILL);
    if (!reap(program, status)) return;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    ::sigtimedwait(&child, nullptr, &pause);
  }
}

[[noreturn]] void watch(pid_t program, int status_pipe) {
  sigset_t all;
  sigfillset(&all);
  std::optional<int> status;
  while (!status) {
    const int signal = ::sigwaitinfo(&all, nullptr);
    if (signal == kEndSignal) break;
    if (signal == SIGCHLD) reap(program, status);
    if (signal > 0 && signal != SIGCHLD) ::kill(-program, signal);
  }
  end_all(program, status);
  const int known = status.value_or(SIGKILL);
  (void)!::write(status_pipe, &known, sizeof known);
  ::_exit(0);
}

}  // namespace

bool keep_subtree(int status_pipe) noexcept {
  sigset_t all;
  sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, nullptr) == -1) return false;
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1) return false;
  return fork_program(status_pipe, watch);
}

void end_subtree(pid_t keeper) noexcept { ::kill(keeper, kEndSignal); }

void kill_outside(const std::set<std::string>& spared) {
  const auto look = [&spared] {
    std::vector<pid_t> found = all_processes();
    std::erase_if(found,
                  [&](pid_t pid) { return pid == ::getpid() || spared.contains(group_of(pid)); });
    return found;
  };
  // What is stopped keeps its number until it is killed.
  for (const pid_t pid : stop_all(look)) ::kill(pid, SIGKILL);
}

}  // namespace cellar::init
