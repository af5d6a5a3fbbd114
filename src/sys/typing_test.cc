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

namespace {

// nullopt, and said so, where this machine gives none.
std::optional<PseudoTerminal> terminal_of_a_person() {
  const Fd root = open_file("/", O_PATH | O_DIRECTORY);
  try {
    return make_terminal(root.get());
  } catch (const Error& error) {
    MESSAGE("skipped: no pseudo terminals here: " << error.what());
    return std::nullopt;
  }
}

tcflag_t modes_of(const PseudoTerminal& terminal) {
  termios settings{};
  REQUIRE(::tcgetattr(terminal.slave.get(), &settings) == 0);
  return settings.c_lflag;
}

}  // namespace

TEST_CASE("what is typed comes key by key, and the terminal is as before in the end") {
  const auto made = terminal_of_a_person();
  if (!made) return;
  const PseudoTerminal& terminal = *made;
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

TEST_CASE("the terminal of who is ended by a signal is as before") {
  const auto terminal = terminal_of_a_person();
  if (!terminal) return;
  const tcflag_t before = modes_of(*terminal);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
    CAPTURE(signal);
    Pipe ready = make_pipe();
    const pid_t child = ::fork();
    REQUIRE(child != -1);
    if (child == 0) {
      (void)::signal(signal, SIG_DFL);  // The test program handles some.
      const Typing typing(terminal->slave.get());
      write_all(ready.write_end.get(), "!", "ready");
      for (;;) ::pause();
    }
    char said = 0;
    REQUIRE(::read(ready.read_end.get(), &said, 1) == 1);
    CHECK(modes_of(*terminal) != before);
    ::kill(child, signal);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == signal));
    CHECK(modes_of(*terminal) == before);
  }
}

}  // namespace cellar::sys
