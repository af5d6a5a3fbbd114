#include "sys/terminal.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

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

TEST_CASE("a terminal is made in a root's own devpts, and has the size that it was given") {
  const Fd root = open_file("/", O_PATH | O_DIRECTORY);
  PseudoTerminal terminal;
  try {
    terminal = make_terminal(root.get());
  } catch (const Error& error) {
    MESSAGE("skipped: no pseudo terminals here: " << error.what());
    return;
  }
  CHECK(is_terminal(terminal.slave.get()));
  resize_terminal(terminal.master.get(), {.columns = 132, .rows = 43});
  winsize size{};
  REQUIRE(::ioctl(terminal.slave.get(), TIOCGWINSZ, &size) == 0);
  CHECK(size.ws_col == 132);
  CHECK(size.ws_row == 43);
  char byte = 0;
  CHECK(::read(terminal.master.get(), &byte, 1) == -1);  // It does not wait.
}

TEST_CASE("what only looks like a terminal's device is not opened") {
  const testing::TempDir dir;
  make_dirs(dir.file("dev/pts"));
  const Fd root = open_file(dir.path(), O_PATH | O_DIRECTORY);
  CHECK_THROWS_AS(make_terminal(root.get()), Error);  // There is nothing.
  replace_file(dir.file("dev/pts/ptmx"), "");
  CHECK_THROWS_AS(make_terminal(root.get()), Error);
  ::unlink(dir.file("dev/pts/ptmx").c_str());
  REQUIRE(::symlink("/dev/pts/ptmx", dir.file("dev/pts/ptmx").c_str()) == 0);
  CHECK_THROWS_AS(make_terminal(root.get()), Error);
  ::unlink(dir.file("dev/pts/ptmx").c_str());
  ::rmdir(dir.file("dev/pts").c_str());
  REQUIRE(::symlink("/dev/pts", dir.file("dev/pts").c_str()) == 0);
  CHECK_THROWS_AS(make_terminal(root.get()), Error);
}

}  // namespace cellar::sys
