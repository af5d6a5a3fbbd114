#include "spawn/blank.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "sys/process.h"
#include "sys/seqpacket.h"

namespace cellar::spawn {
namespace {

// A child in the place of a cell-init, that stands still and reads nothing.
pid_t add_still(std::vector<Blank>& blanks) {
  auto [ours, theirs] = sys::seqpacket_pair();
  sys::Forked forked = sys::fork_child();
  if (forked.pid == 0) {
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  const pid_t pid = forked.pid;
  int status = 0;
  REQUIRE(::waitpid(pid, &status, WUNTRACED) == pid);
  REQUIRE(WIFSTOPPED(status));
  blanks.emplace_back(std::move(forked), std::move(ours));
  return pid;
}

bool was_killed(pid_t pid) {
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

bool stands_still(pid_t pid) {
  siginfo_t info = {};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

}  // namespace

TEST_CASE("a blank that stands still ends where nobody needs it any more, and none before") {
  std::vector<Blank> blanks;
  const pid_t first = add_still(blanks);
  const pid_t second = add_still(blanks);
  const pid_t third = add_still(blanks);
  CHECK(stands_still(first));
  blanks.erase(blanks.begin());
  CHECK(was_killed(first));
  CHECK(stands_still(second));
  CHECK(stands_still(third));
  blanks[0] = std::move(blanks[1]);
  blanks.pop_back();
  CHECK(was_killed(second));
  CHECK(stands_still(third));
  const Blank::Domain left = blanks[0].leave();
  blanks.clear();
  CHECK(stands_still(third));
  sys::kill_process(left.process.get());
  CHECK(was_killed(third));
}

}  // namespace cellar::spawn
