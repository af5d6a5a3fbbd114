#include "sys/removed_at_ending.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a file is removed where a signal ends the process, and by none that is ignored") {
  const testing::TempDir dir;
  replace_file(dir.file("f"), "half");
  replace_file(dir.file("whole"), "whole");
  const pid_t child = ::fork();
  REQUIRE(child != -1);
  if (child == 0) {
    (void)::signal(SIGHUP, SIG_IGN);
    (void)::signal(SIGTERM, SIG_DFL);  // The test program handles some.
    {
      const RemovedAtEnding over(dir.file("whole"));
    }
    const RemovedAtEnding removed(dir.file("f"));
    (void)::raise(SIGHUP);
    if (!exists(dir.file("f"))) ::_exit(1);
    (void)::raise(SIGTERM);
    ::_exit(2);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
  CHECK_FALSE(exists(dir.file("f")));
  CHECK(exists(dir.file("whole")));
}

}  // namespace cellar::sys
