#include "sys/landlock.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "testing/temp_dir.h"

using namespace cellar;

namespace {

// The exit status of `body` in a process of its own, which is restricted first.
template <typename Body>
int restricted(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sys::restrict_with_landlock();
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool can_tell() {
  if (sys::landlock_version() >= 2 && ::geteuid() == 0) return true;
  MESSAGE("skipped: needs root and Landlock");
  return false;
}

}  // namespace

TEST_CASE("a restricted process makes no mount and no device, root or not") {
  if (!can_tell()) return;
  const testing::TempDir dir;
  const std::string folder = dir.path();
  CHECK(restricted([&] {
          return ::mount("tmpfs", folder.c_str(), "tmpfs", 0, nullptr) == -1 ? errno : 0;
        }) == EPERM);
  const std::string device = folder + "/device";
  CHECK(restricted([&] {
          return ::mknod(device.c_str(), S_IFCHR | 0600, makedev(1, 3)) == -1 ? errno : 0;
        }) == EACCES);
}

TEST_CASE("a restricted process works with files as before") {
  if (!can_tell()) return;
  const testing::TempDir dir;
  const std::string folder = dir.path();
  CHECK(restricted([&] {
          const std::string a = folder + "/a", b = folder + "/b";
          if (::mkdir(a.c_str(), 0700) == -1 || ::mkdir(b.c_str(), 0700) == -1) return errno;
          const int file = ::open((a + "/f").c_str(), O_CREAT | O_WRONLY, 0600);
          if (file == -1) return errno;
          if (::rename((a + "/f").c_str(), (b + "/f").c_str()) == -1) return errno;
          if (::link((b + "/f").c_str(), (a + "/g").c_str()) == -1) return errno;
          if (::mkfifo((a + "/fifo").c_str(), 0600) == -1) return errno;
          return ::unlink((b + "/f").c_str()) == -1 ? errno : 0;
        }) == 0);
}

TEST_CASE("a restricted process signals its own, and nobody outside") {
  if (!can_tell() || sys::landlock_version() < 6) return;
  CHECK(restricted([parent = ::getpid()] { return ::kill(parent, 0) == -1 ? errno : 0; }) == EPERM);
  CHECK(restricted([] {
          const pid_t child = ::fork();
          if (child == 0) {
            ::pause();
            ::_exit(0);
          }
          const int result = ::kill(child, SIGKILL) == -1 ? errno : 0;
          ::waitpid(child, nullptr, 0);
          return result;
        }) == 0);
}
