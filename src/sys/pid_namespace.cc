#include "sys/pid_namespace.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

constexpr std::chrono::seconds kStopLimit{5};
constexpr std::chrono::milliseconds kStopPause{1};

// The fields utime, stime, cutime and cstime, which are ticks: proc(5). The first field is `state`.
std::chrono::microseconds cpu_of(const std::vector<std::string_view>& fields) {
  constexpr std::size_t kFirst = 11;
  static const std::int64_t tick_us = 1'000'000 / ::sysconf(_SC_CLK_TCK);
  std::int64_t ticks = 0;
  for (std::size_t at = kFirst; at < kFirst + 4 && at < fields.size(); ++at) {
    ticks += parse_int(fields[at]).value_or(0);
  }
  return std::chrono::microseconds(ticks * tick_us);
}

std::optional<Member> read_member(pid_t pid) {
  try {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
    if (name_end == std::string::npos) return std::nullopt;
    const auto fields = split(std::string_view(*stat).substr(name_end + 2), ' ');
    const auto parent = fields.size() > 1 ? parse_int(fields[1]) : std::nullopt;
    if (!parent || fields[0].empty()) return std::nullopt;
    return Member{pid, static_cast<pid_t>(*parent), fields[0].front(), cpu_of(fields)};
  } catch (const Error&) {
    return std::nullopt;  // It ended while it was read.
  }
}

// One that waits in the kernel and was told to stop does so before its next instruction: a parent,
// for one, whose child stopped between vfork and exec.
bool stands_still(const Member& member, const std::set<pid_t>& told) {
  if (member.state == 'D') return told.contains(member.pid);
  return std::string_view("TtZX").find(member.state) != std::string_view::npos;
}

// The number may have been given away meanwhile: only a process of that namespace gets the signal.
void send(pid_t pid, const std::string& place, int signal) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process || pid_namespace_of(pid) != place) return;
  ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0);
}

}  // namespace

// "pid:[4026531836]"
std::string pid_namespace_of(pid_t pid) {
  char name[64];
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/pid";
  const ssize_t size = ::readlink(path.c_str(), name, sizeof name);
  return size > 0 ? std::string(name, static_cast<std::size_t>(size)) : std::string();
}

std::map<std::string, std::vector<Member>> members_by_namespace() {
  std::map<std::string, std::vector<Member>> all;
  const std::string own = pid_namespace_of(::getpid());
  for (const std::string& name : folders_in("/proc")) {
    const auto pid = parse_int(name);
    const std::string place = pid ? pid_namespace_of(static_cast<pid_t>(*pid)) : std::string();
    if (place.empty() || place == own) continue;
    if (const auto member = read_member(static_cast<pid_t>(*pid))) all[place].push_back(*member);
  }
  return all;
}

std::vector<Member> members_of(const ProcessId& init) {
  std::vector<Member> members;
  const std::string place = pid_namespace_of(init.pid);
  if (place.empty() || identify(init.pid) != init) return members;
  for (const std::string& name : folders_in("/proc")) {
    const auto pid = parse_int(name);
    if (!pid || *pid == init.pid || pid_namespace_of(static_cast<pid_t>(*pid)) != place) continue;
    if (const auto member = read_member(static_cast<pid_t>(*pid))) members.push_back(*member);
  }
  return members;
}

void stop_members(const ProcessId& init) {
  const std::string place = pid_namespace_of(init.pid);
  const auto deadline = std::chrono::steady_clock::now() + kStopLimit;
  std::set<pid_t> told;
  while (identify(init.pid) == init) {
    std::vector<Member> running = members_of(init);
    if (const auto first = read_member(init.pid)) running.push_back(*first);
    std::erase_if(running, [&](const Member& member) { return stands_still(member, told); });
    if (running.empty()) return;
    if (std::chrono::steady_clock::now() > deadline) {
      throw Error(ErrorCode::unavailable, "not_stopped",
                  std::to_string(running.size()) + " processes of the cell did not stop in time");
    }
    for (const Member& member : running) {
      send(member.pid, place, SIGSTOP);
      told.insert(member.pid);
    }
    std::this_thread::sleep_for(kStopPause);
  }
}

void continue_members(const ProcessId& init) {
  const std::string place = pid_namespace_of(init.pid);
  for (const Member& member : members_of(init)) send(member.pid, place, SIGCONT);
  if (identify(init.pid) == init) send(init.pid, place, SIGCONT);
}

bool is_stopped(const ProcessId& init) {
  const auto member = read_member(init.pid);
  return member && member->state == 'T' && identify(init.pid) == init;
}

void end_members(const ProcessId& init) {
  const Fd process = open_process(init);
  if (process) kill_process(process.get());
}

}  // namespace cellar::sys
