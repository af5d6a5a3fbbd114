#include "sys/pid_namespace.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fd.h"
#include "sys/namespace.h"

using namespace cellar;

TEST_CASE("all of a pid namespace stops, goes on and ends, and nobody else") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: making pid namespaces needs root");
    return;
  }
  sys::Pipe ready = sys::make_pipe();
  const pid_t first = sys::fork_into_namespaces().pid;
  if (first == 0) {
    const pid_t second = ::fork();
    if (second == 0) ::setsid();
    (void)!::write(ready.write_end.get(), "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  for (int i = 0; i < 2; ++i) REQUIRE(::read(ready.read_end.get(), &byte, 1) == 1);
  const sys::ProcessId init = sys::identify(first).value();

  REQUIRE(sys::members_of(init).size() == 1);
  const auto all = sys::members_by_namespace();
  const auto found = all.find(sys::pid_namespace_of(first));
  REQUIRE(found != all.end());
  CHECK(found->second.size() == 2);  // With `init`.
  CHECK_FALSE(all.contains(sys::pid_namespace_of(::getpid())));
  CHECK(sys::members_of(init)[0].parent == first);
  CHECK_FALSE(sys::is_stopped(init));
  sys::stop_members(init);
  CHECK(sys::is_stopped(init));
  CHECK(sys::members_of(init)[0].state == 'T');
  sys::continue_members(init);
  CHECK_FALSE(sys::is_stopped(init));
  CHECK(sys::members_of(init)[0].state != 'T');

  sys::end_members({first, init.start_time + 1});  // Another process, which is gone.
  CHECK(sys::members_of(init).size() == 1);
  sys::end_members(init);
  int status = 0;
  CHECK(::waitpid(first, &status, 0) == first);
  CHECK(WIFSIGNALED(status));
  CHECK(sys::members_of(init).empty());
}
