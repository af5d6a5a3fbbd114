#include "sys/typing.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/file.h"

namespace cellar::sys {

TEST_CASE("what is typed comes key by key, and the terminal is as before in the end") {
  const Fd root = open_file("/", O_PATH | O_DIRECTORY);
  PseudoTerminal terminal;
  try {
    terminal = make_terminal(root.get());
  } catch (const Error& error) {
    MESSAGE("skipped: no pseudo terminals here: " << error.what());
    return;
  }
  resize_terminal(terminal.master.get(), {.columns = 9, .rows = 8});
  termios before{};
  REQUIRE(::tcgetattr(terminal.slave.get(), &before) == 0);
  {
    Typing typing(terminal.slave.get());
    CHECK(typing.size() == TerminalSize{.columns = 9, .rows = 8});
    write_all(terminal.master.get(), "a\x03", "keys");  // Ctrl+C is a key like any other.
    CHECK(typing.next().bytes == "a\x03");
    ::kill(::getpid(), SIGWINCH);
    CHECK(typing.next().resized);
    typing.end();
    CHECK(typing.next().ended);
    CHECK(typing.next().ended);
  }
  termios after{};
  REQUIRE(::tcgetattr(terminal.slave.get(), &after) == 0);
  CHECK(after.c_lflag == before.c_lflag);
  CHECK(after.c_iflag == before.c_iflag);
  CHECK_THROWS_AS(Typing(make_pipe().read_end.get()), Error);
}

}  // namespace cellar::sys
