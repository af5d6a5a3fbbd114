#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "init/server.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/terminal.h"
#include "testing/temp_dir.h"

namespace cellar::init {
namespace {

sys::Fd child_signals() {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  return sys::Fd(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
}

// A cell-init in this process, and the daemon's end of its socket.
struct Fixture {
  explicit Fixture(sandbox::Runtime runtime = sandbox::Runtime::native)
      : server(runtime == sandbox::Runtime::gvisor ? sys::rendezvous_listen(dir.file("init.sock"))
                                                   : sys::seqpacket_listen(dir.file("init.sock")),
               child_signals(), CommandFilter(), runtime),
        socket(runtime == sandbox::Runtime::gvisor
                   ? sys::rendezvous_connect(dir.file("init.sock"))
                   : sys::seqpacket_connect(dir.file("init.sock"))) {}

  sys::Message next_message() {
    for (;;) {
      bool would_block = false;
      auto message = sys::receive_message(socket.get(), sys::Wait::no, &would_block);
      if (message) return *std::move(message);
      REQUIRE(would_block);
      server.run_once();
    }
  }
  wire::InitReport next() { return *wire::decode_init_report(next_message().bytes); }
  void send(const wire::InitRequest& request, const std::vector<int>& fds = {}) {
    sys::send_message(socket.get(), wire::encode(request), fds);
  }
  // Runs a command with its output in a pipe; gives what it printed and its wait status.
  std::pair<std::string, int> run(std::vector<std::string> argv, std::string cwd = "/") {
    sys::Pipe output = sys::make_pipe();
    const sys::Fd null = sys::open_file("/dev/null", O_RDONLY);
    wire::SpawnRequest request;
    request.id = ++last_id;
    request.argv = std::move(argv);
    request.env = {"PATH=/usr/bin:/bin", "WORD=word"};
    request.cwd = std::move(cwd);
    send(request, {null.get(), output.write_end.get(), output.write_end.get()});
    output.write_end.reset();
    const wire::InitReport started = next();
    REQUIRE(std::holds_alternative<wire::Started>(started));
    CHECK(std::get<wire::Started>(started).id == last_id);
    const std::string text = sys::read_all(output.read_end.get(), 1 << 20, "output");
    const wire::InitReport ended = next();
    REQUIRE(std::holds_alternative<wire::Exited>(ended));
    return {text, static_cast<int>(std::get<wire::Exited>(ended).wait_status)};
  }

  testing::TempDir dir;
  Server server;
  sys::Fd socket;
  std::uint32_t last_id = 0;
};

}  // namespace

TEST_CASE("a command gets its words, environment, folder and descriptors, and nothing else") {
  Fixture init;
  CHECK(std::holds_alternative<wire::InitHello>(init.next()));
  CHECK(init.run({"sh", "-c", "echo $WORD; pwd; exit 3"}, "/usr") ==
        std::pair<std::string, int>("word\n/usr\n", 3 << 8));
  CHECK(init.run({"sh", "-c", "ls /proc/self/fd | wc -l"}).first == "4\n");  // and the folder
  CHECK(init.run({"sh", "-c", "kill -9 $$"}).second == SIGKILL);
  CHECK(init.run({"sh", "-c", "ulimit -c"}).first == "0\n");
}

TEST_CASE("what cannot start is told by step and errno") {
  Fixture init;
  init.next();
  const sys::Fd null = sys::open_file("/dev/null", O_RDWR);
  const auto failure_of = [&](const std::string& program, const std::string& cwd) {
    wire::SpawnRequest request{.id = 7, .argv = {program}, .env = {}, .cwd = cwd};
    init.send(request, {null.get(), null.get(), null.get()});
    return std::get<wire::StartFailed>(init.next());
  };
  CHECK(failure_of("no-such-program", "/") == wire::StartFailed{7, "execve", ENOENT});
  CHECK(failure_of("/etc/passwd", "/") == wire::StartFailed{7, "execve", EACCES});
  CHECK(failure_of("true", "/no/such/folder") == wire::StartFailed{7, "chdir", ENOENT});
}

TEST_CASE("a program's terminal is that of its session") {
  Fixture init;
  init.next();
  const sys::Fd root = sys::open_file("/", O_PATH | O_DIRECTORY);
  sys::PseudoTerminal terminal;
  try {
    terminal = sys::make_terminal(root.get());
  } catch (const Error& error) {
    MESSAGE("skipped: no pseudo terminals here: " << error.what());
    return;
  }
  // /dev/tty can be opened by those only who have one.
  wire::SpawnRequest request{
      .id = 1, .argv = {"sh", "-c", "exec 3</dev/tty"}, .env = {}, .cwd = "/"};
  request.has_terminal = true;
  const int fd = terminal.slave.get();
  init.send(request, {fd, fd, fd});
  CHECK(std::get<wire::Started>(init.next()).id == 1);
  CHECK(std::get<wire::Exited>(init.next()).wait_status == 0);
  request.id = 2;
  const sys::Fd null = sys::open_file("/dev/null", O_RDWR);
  init.send(request, {null.get(), null.get(), null.get()});
  CHECK(std::get<wire::StartFailed>(init.next()) == wire::StartFailed{2, "terminal", ENOTTY});
}

TEST_CASE("a signal reaches the whole process group") {
  Fixture init;
  init.next();
  sys::Pipe output = sys::make_pipe();
  const sys::Fd null = sys::open_file("/dev/null", O_RDWR);
  wire::SpawnRequest request{
      .id = 1, .argv = {"sh", "-c", "sleep 1000 & echo up; wait"}, .env = {}, .cwd = "/"};
  init.send(request, {null.get(), output.write_end.get(), null.get()});
  output.write_end.reset();
  init.next();
  char byte = 0;
  CHECK(::read(output.read_end.get(), &byte, 1) == 1);
  init.send(wire::SignalRequest{1, SIGKILL});
  CHECK(std::get<wire::Exited>(init.next()).wait_status == SIGKILL);
  // Its child had the pipe, too: the end comes only when both are gone.
  CHECK(sys::read_all(output.read_end.get(), 100, "output") == "p\n");
}

TEST_CASE("what a program without a cgroup started ends with it, wherever it went") {
  Fixture init;
  init.next();
  // The background processes have the pipe: the output ends when they are gone.
  CHECK(init.run({"sh", "-c",
                  "trap '' TERM HUP; setsid sh -c 'sleep 1000 & setsid sleep 1000' & "
                  "(setsid sleep 1000 &); echo on; exit 4"}) ==
        std::pair<std::string, int>("on\n", 4 << 8));
  // One that is always somebody else's child, too.
  const char* hopping = R"(F='setsid sh -c "$F" & exit 0'; export F; sh -c "$F"; exit 5)";
  CHECK(init.run({"sh", "-c", hopping}).second == 5 << 8);
}

TEST_CASE("a program with something kept outlives its connection, and the next one is told of it") {
  Fixture init;
  init.next();
  sys::Pipe output = sys::make_pipe();
  sys::Pipe input = sys::make_pipe();
  const sys::Fd null = sys::open_file("/dev/null", O_RDWR);
  wire::SpawnRequest request{
      .id = 4, .argv = {"sh", "-c", "read line; echo got $line; exit 3"}, .env = {}, .cwd = "/"};
  request.keep_count = 2;
  init.send(request, {input.read_end.get(), output.write_end.get(), null.get(),
                      output.read_end.get(), input.write_end.get()});
  CHECK(std::get<wire::Started>(init.next()).id == 4);
  wire::SpawnRequest other{.id = 5, .argv = {"sh", "-c", "read line"}, .env = {}, .cwd = "/"};
  sys::Pipe held = sys::make_pipe();
  init.send(other, {held.read_end.get(), null.get(), null.get()});
  CHECK(std::get<wire::Started>(init.next()).id == 5);
  held.read_end.reset();
  output = {};
  input = {};

  init.socket = sys::seqpacket_connect(init.dir.file("init.sock"));
  auto told = init.next_message();
  const auto kept = std::get<wire::Kept>(*wire::decode_init_report(told.bytes));
  CHECK(kept.id == 4);
  CHECK_FALSE(kept.has_ended);
  REQUIRE(told.fds.size() == 2);
  CHECK(std::holds_alternative<wire::InitHello>(init.next()));
  sys::write_all(told.fds[1].get(), "it\n", "input");
  CHECK(std::get<wire::Exited>(init.next()) == wire::Exited{4, 3 << 8});
  char text[16];
  CHECK(std::string_view(text, static_cast<std::size_t>(::read(told.fds[0].get(), text, 16))) ==
        "got it\n");

  init.socket = sys::seqpacket_connect(init.dir.file("init.sock"));
  CHECK(std::get<wire::Kept>(init.next()) == wire::Kept{4, kept.pid, true, 3 << 8});
  init.next();
  init.send(wire::ForgetRequest{4, 1});
  init.server.run_once();
  init.socket = sys::seqpacket_connect(init.dir.file("init.sock"));
  CHECK(init.next_message().fds.size() == 1);
  init.next();
  init.send(wire::ForgetRequest{4});
  init.server.run_once();
  init.socket = sys::seqpacket_connect(init.dir.file("init.sock"));
  CHECK(std::holds_alternative<wire::InitHello>(init.next()));
}

TEST_CASE("no more is kept than the limit, and no descriptor that was not sent") {
  Fixture init;
  init.next();
  const sys::Fd null = sys::open_file("/dev/null", O_RDWR);
  wire::SpawnRequest request{.id = 1, .argv = {"true"}, .env = {}, .cwd = "/"};
  request.keep_count = 5;
  init.send(request, {null.get(), null.get(), null.get(), null.get()});
  CHECK(std::get<wire::StartFailed>(init.next()) == wire::StartFailed{1, "keep", EMFILE});
  request.keep_count = 1;
  const auto start = [&] {
    init.send(request, {null.get(), null.get(), null.get(), null.get()});
    auto report = init.next();
    while (std::holds_alternative<wire::Exited>(report)) report = init.next();
    ++request.id;
    return report;
  };
  for (std::size_t count = 0; count < Server::kKeptMax; ++count) {
    REQUIRE(std::holds_alternative<wire::Started>(start()));
  }
  CHECK(std::get<wire::StartFailed>(start()).step == "keep");
}

TEST_CASE("a new connection replaces the old one, bytes that are no request end it") {
  Fixture init;
  init.next();
  const sys::Fd second = sys::seqpacket_connect(init.dir.file("init.sock"));
  init.server.run_once();
  CHECK(sys::receive_message(second.get()));             // It is greeted,
  CHECK_FALSE(sys::receive_message(init.socket.get()));  // and the first one is over.
  sys::send_message(second.get(), "garbage");
  init.server.run_once();
  CHECK_FALSE(sys::receive_message(second.get()));
}

// On the machine's kernel the same calls do the same, for root.
TEST_CASE("a contained program is alone with what it starts, and all of it ends with it") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: making pid namespaces needs root");
    return;
  }
  sys::enter_new_mount_namespace();  // What it mounts must not show on the machine.
  Fixture init(sandbox::Runtime::gvisor);
  CHECK(std::holds_alternative<wire::InitHello>(init.next()));
  CHECK(init.run({"sh", "-c", "echo $$ $PPID; readlink /proc/self/ns/pid | grep -c pid"}).first ==
        "2 1\n1\n");
  CHECK(init.run({"sh", "-c", "exit 3"}).second == 3 << 8);
  CHECK(init.run({"sh", "-c", "kill -9 $$"}).second == SIGKILL);
  // SYS_ADMIN is the 22nd of them.
  CHECK(init.run({"sh", "-c", "grep -c '^Cap[BEP].*[0-9a-f]*[014589cd].....$' /proc/self/status"})
            .first == "3\n");
  // The background process has the pipe: the end of the output comes when that is gone, too.
  CHECK(init.run({"sh", "-c", "trap '' TERM HUP; setsid sleep 1000 & echo on"}).first == "on\n");
}

TEST_CASE("whoever contains a program passes signals on, and KILL ends all, whatever it ignores") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: making pid namespaces needs root");
    return;
  }
  sys::enter_new_mount_namespace();
  Fixture init(sandbox::Runtime::gvisor);
  init.next();
  const auto end_by = [&](int signal, const char* script) {
    sys::Pipe output = sys::make_pipe();
    const sys::Fd null = sys::open_file("/dev/null", O_RDWR);
    wire::SpawnRequest request{.id = 1, .argv = {"sh", "-c", script}, .env = {}, .cwd = "/"};
    init.send(request, {null.get(), output.write_end.get(), null.get()});
    output.write_end.reset();
    init.next();
    char byte = 0;
    REQUIRE(::read(output.read_end.get(), &byte, 1) == 1);
    init.send(wire::SignalRequest{1, static_cast<std::uint32_t>(signal)});
    const auto status = std::get<wire::Exited>(init.next()).wait_status;
    CHECK(sys::read_all(output.read_end.get(), 100, "output") == "p\n");
    return status;
  };
  CHECK(end_by(SIGTERM, "sleep 1000 & echo up; wait") == SIGTERM);
  CHECK(
      end_by(SIGKILL, "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1000' & echo up; wait") ==
      SIGKILL);
}

}  // namespace cellar::init
