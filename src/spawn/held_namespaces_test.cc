#include "spawn/held_namespaces.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

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

}  // namespace
}  // namespace cellar::spawn
