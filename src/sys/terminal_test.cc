#include "sys/terminal.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sys/fd.h"

namespace cellar::sys {

TEST_CASE("a pipe and a closed descriptor are no terminals, a pseudo terminal is one") {
  const Pipe pipe = make_pipe();
  CHECK_FALSE(is_terminal(pipe.read_end.get()));
  CHECK_FALSE(is_terminal(-1));
  const Fd pty(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty) {
    MESSAGE("skipped in part: no pseudo terminals here");
    return;
  }
  CHECK(is_terminal(pty.get()));
}

}  // namespace cellar::sys
