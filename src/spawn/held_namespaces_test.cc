#include "spawn/held_namespaces.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/process.h"
#include "testing/temp_dir.h"

namespace cellar::spawn {
namespace {

sys::Fd ended_process() {
  sys::Forked forked = sys::fork_child();
  if (forked.pid == 0) ::_exit(0);
  sys::wait_program(forked.pid);
  return std::move(forked.process);
}

std::vector<sys::Fd> own_mounts() {
  std::vector<sys::Fd> namespaces;
  namespaces.push_back(sys::open_file("/proc/self/ns/mnt", O_RDONLY));
  return namespaces;
}

TEST_CASE("what ended domains had waits for a quiet moment, of so many domains at most") {
  HeldNamespaces held;
  for (std::size_t i = 1; i < HeldNamespaces::kEndedMax; ++i) {
    held.hold({"/cells/a", "s-1"}, ended_process(), own_mounts());
    CHECK(held.slot_of("/cells/a").empty());
    CHECK_FALSE(held.has_slot("s-1"));
    held.note_ended();
    CHECK(held.ended_count() == i);
  }
  CHECK(held.descriptors().empty());
  held.hold({"/cells/a", "s-1"}, ended_process(), own_mounts());
  held.note_ended();
  CHECK(held.ended_count() == 0);
  CHECK_FALSE(held.release_ended());
}

TEST_CASE("a cell's next domain is told what of the last is still there, and another cell's not") {
  // Who lets go stands still before it does: else it may be gone before anybody asks.
  const testing::TempDir dir;
  sys::replace_file(dir.file("plan"), "spawn.letting_go 1 stop\n");
  arm_faults(dir.file("plan"));
  HeldNamespaces held;
  held.hold({"/cells/a", "s-1"}, ended_process(), own_mounts());
  const sys::Fd going = held.going("/cells/a");
  REQUIRE(going);
  CHECK_FALSE(held.going("/cells/b"));
  CHECK_FALSE(held.going(""));
  pollfd wait{going.get(), POLLIN, 0};
  for (int i = 0; i < 1000 && ::poll(&wait, 1, 10) == 0; ++i) {  // It may not stand still yet.
    ::syscall(SYS_pidfd_send_signal, going.get(), SIGCONT, nullptr, 0);
  }
  REQUIRE(wait.revents != 0);
  CHECK_FALSE(held.going("/cells/a"));
}

TEST_CASE("what a domain has that lives stays") {
  HeldNamespaces held;
  held.hold({"/cells/a", "s-1"}, sys::open_process(sys::identify(::getpid()).value()),
            own_mounts());
  held.note_ended();
  CHECK(held.ended_count() == 0);
  CHECK(held.descriptors().size() == 1);
  CHECK(held.slot_of("/cells/a") == "s-1");
  CHECK(held.slot_of("/cells/b").empty());
  CHECK(held.has_slot("s-1"));
  CHECK_FALSE(held.release_ended());
}

// A process in a uts namespace of its own, which ends with its pipe.
sys::Forked named_process(const sys::Pipe& life) {
  sys::Forked forked = sys::fork_into_namespaces(sys::ProcessNumbers::shared);
  if (forked.pid == 0) {
    ::close(life.write_end.get());
    char byte = 0;
    (void)!::read(life.read_end.get(), &byte, 1);
    ::_exit(0);
  }
  return forked;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name);
  return name;
}

TEST_CASE(
    "domains that were made for nobody have the name of who takes them over, and its mounts") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root, to make namespaces");
    return;
  }
  HeldNamespaces held;
  CHECK_THROWS_AS(held.adopt("/fresh/1", "/cells/a", "a", 1), Error);
  const std::string own_name = host_name();
  const sys::Pipe life = sys::make_pipe();
  std::vector<pid_t> pids;
  for (int i = 0; i < 2; ++i) {
    sys::Forked forked = named_process(life);
    pids.push_back(forked.pid);
    held.hold({"/fresh/1", "s-1"}, std::move(forked.process), own_mounts());
  }
  held.adopt("/fresh/1", "/cells/a", "taken-over", 2);
  CHECK(held.slot_of("/fresh/1").empty());
  CHECK(held.slot_of("/cells/a") == "s-1");
  CHECK(host_name() == own_name);
  for (const pid_t pid : pids) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/uts";
    const sys::Fd own = sys::open_file("/proc/self/ns/uts", O_RDONLY);
    const sys::Fd theirs = sys::open_file(path, O_RDONLY);
    REQUIRE(::setns(theirs.get(), CLONE_NEWUTS) == 0);
    const std::string name = host_name();
    REQUIRE(::setns(own.get(), CLONE_NEWUTS) == 0);
    CHECK(name == "taken-over");
    ::kill(pid, SIGKILL);
    sys::wait_program(pid);
  }
  // Some have ended, and what they had mounted is still on the files.
  CHECK_THROWS_AS(held.adopt("/cells/a", "/cells/b", "b", 2), Error);
  CHECK_FALSE(held.going("/cells/a"));
  CHECK(held.going("/cells/b"));
}

}  // namespace
}  // namespace cellar::spawn
