#include "sys/user_namespace.h"

#include <doctest/doctest.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/file.h"

using namespace cellar;

namespace {

constexpr std::uint32_t kBase = 0x7e000000, kCount = 65536;

bool can_tell() {
  if (::geteuid() == 0) return true;
  MESSAGE("skipped: making user namespaces of a range needs root");
  return false;
}

// The exit status of `body` in a process of its own; -1 where there is none.
template <typename Body>
int in_child(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  if (pid == -1) return -1;
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a user namespace belongs to the first id of its range, its maker stays who it was") {
  if (!can_tell()) return;
  const sys::Fd made = sys::make_user_namespace(kBase, kCount);
  uid_t owner = 0;
  REQUIRE(::ioctl(made.get(), NS_GET_OWNER_UID, &owner) == 0);
  CHECK(owner == kBase);
  CHECK(::geteuid() == 0);
}

TEST_CASE("in it, id 0 is that of the range, and no namespace can be made") {
  if (!can_tell()) return;
  const sys::Fd made = sys::make_user_namespace(kBase, kCount);
  CHECK(in_child([&] {
          if (::setns(made.get(), CLONE_NEWUSER) != 0 || ::setresuid(0, 0, 0) != 0) return 1;
          if (sys::read_file("/proc/self/uid_map")->find("2113929216") == std::string::npos)
            return 2;
          return ::unshare(CLONE_NEWUSER) == -1 && ::unshare(CLONE_NEWNET) == -1 ? 0 : 3;
        }) == 0);
}

TEST_CASE("how many processes its maker may have is no limit of a user namespace") {
  if (!can_tell()) return;
  CHECK(in_child([] {
          rlimit limit{};
          ::getrlimit(RLIMIT_NPROC, &limit);
          const rlim_t kept = limit.rlim_cur;
          limit.rlim_cur = 1;
          ::setrlimit(RLIMIT_NPROC, &limit);
          const sys::Fd made = sys::make_user_namespace(kBase, kCount);
          limit.rlim_cur = kept;
          ::setrlimit(RLIMIT_NPROC, &limit);
          if (::setns(made.get(), CLONE_NEWUSER) != 0 || ::setresuid(0, 0, 0) != 0) return 1;
          return in_child([] { return in_child([] { return 0; }); });
        }) == 0);
}
