// Measures the sandbox alone, without the daemon: what making a domain, starting a program in it
// and ending it costs, each beside other tools in the same run.
//
// sandbox_bench BIN_DIR STATE_DIR RUNS [IMAGE_DIR]     as root; prints one JSON object a line:
// {"name", "unit", "runs", "median", "p95", "reference"?, "reference_median"?, "ratio"?}

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <thread>

#include "base/error.h"
#include "cell/cgroups.h"
#include "cell/layout.h"
#include "cell/slots.h"
#include "cell/spawner.h"
#include "sandbox/groups.h"
#include "sandbox/spawn_protocol.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/seqpacket.h"
#include "wire/init_protocol.h"

namespace {

using namespace cellar;
using sandbox::DomainKind;
using Clock = std::chrono::steady_clock;
using Times = std::vector<double>;  // milliseconds

// Long enough for the spawner to have prepared what was used.
constexpr std::chrono::milliseconds kQuiet{150};
// Between two looks whether something has ended; the kernel's own notice comes up to 10 ms late. A
// timer is late by kSlackNs, not by the usual 50 us.
constexpr std::chrono::microseconds kGlance{50};
constexpr unsigned long kSlackNs = 1000;
constexpr std::uint32_t kFirstUid = 0x60000000;

double milliseconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double at(Times times, double part) {
  std::sort(times.begin(), times.end());
  return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * part)];
}

void print(const std::string& name, const Times& ours, const std::string& against = {},
           const Times& reference = {}) {
  fmt::print(R"({{"name": "{}", "unit": "ms", "runs": {}, "median": {:.3f}, "p95": {:.3f})", name,
             ours.size(), at(ours, 0.5), at(ours, 0.95));
  if (!reference.empty()) {
    fmt::print(R"(, "reference": "{}", "reference_median": {:.3f}, "ratio": {:.2f})", against,
               at(reference, 0.5), at(ours, 0.5) / at(reference, 0.5));
  }
  fmt::print("}}\n");
  std::fflush(stdout);
}

// Kills a program of the host with all its children, and waits until nothing is left.
double kill_on_host(const std::string& script, int count) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  posix_spawnattr_t own_group;
  posix_spawnattr_init(&own_group);
  posix_spawnattr_setflags(&own_group, POSIX_SPAWN_SETPGROUP);
  const char* argv[] = {"sh", "-c", script.c_str(), nullptr};
  pid_t pid = -1;
  ::posix_spawnp(&pid, "sh", nullptr, &own_group, const_cast<char* const*>(argv), ::environ);
  posix_spawnattr_destroy(&own_group);
  const std::string children =
      "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children";
  const auto has_all = [&] {
    const std::string text = sys::read_file(children).value_or("");
    return std::count(text.begin(), text.end(), ' ') >= count - 1;
  };
  while (!has_all()) std::this_thread::yield();
  return milliseconds_of([&] {
    ::kill(-pid, SIGKILL);
    for (int left = count; left > 0; --left) ::waitpid(-1, nullptr, 0);
  });
}

// A program of the host, to its end.
void run_host(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), ::environ) != 0) {
    throw Error(ErrorCode::internal, "cannot start " + words[0]);
  }
  if (sys::wait_program(pid) != 0) throw Error(ErrorCode::internal, words[0] + " failed");
}

// A spawner of its own, asked as the daemon asks it.
class Spawner {
 public:
  Spawner(const std::string& bin, const std::string& state, unsigned ahead)
      : host_(sandbox::read_cgroup_host()), group_(cell::daemon_group_of(state)) {
    cell::Spawner::Program program = cell::Spawner::start({.libexec = bin,
                                                           .state_dir = state,
                                                           .daemon_group = group_,
                                                           .cgroup_host = host_,
                                                           .prepared_cells = ahead},
                                                          fmt::format("b{}", ahead));
    pid_ = program.pid;
    socket_ = std::move(program.socket);
  }
  ~Spawner() {
    socket_.reset();
    sys::wait_program(pid_);
  }
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // What is asked for is made while the next is asked for.
  std::uint32_t ask(const sandbox::SpawnRequest& request) {
    sys::send_message(socket_.get(), sandbox::encode(++asked_, request));
    return asked_;
  }
  struct Made {
    std::string slot;
    sys::Fd connection;
  };
  Made await_made(std::uint32_t number) {
    sys::Message message = await(number);
    const auto answer = sandbox::decode_spawn_answer(message.bytes);
    return {std::get<sandbox::DomainMade>(*answer).slot, std::move(message.fds.at(0))};
  }
  sys::Message await(std::uint32_t number) {
    while (!answers_.contains(number)) {
      auto message = sys::receive_message(socket_.get());
      if (!message) throw Error(ErrorCode::internal, "cellar-spawn is gone");
      answers_[sandbox::number_of(message->bytes)] = std::move(*message);
    }
    sys::Message message = std::move(answers_.extract(number).mapped());
    const auto answer = sandbox::decode_spawn_answer(message.bytes);
    const auto* failed = std::get_if<sandbox::SpawnFailed>(&*answer);
    if (failed != nullptr) throw Error(ErrorCode::internal, failed->message);
    return message;
  }
  sandbox::CgroupPlan groups(const std::string& slot) const {
    return sandbox::plan_cgroups(host_, group_, slot);
  }

 private:
  sandbox::CgroupHost host_;
  std::string group_;
  pid_t pid_ = -1;
  sys::Fd socket_;
  std::uint32_t asked_ = 0;
  std::map<std::uint32_t, sys::Message> answers_;
};

// One cell's sandbox, from its folders to its end.
class Cell {
 public:
  // Makes the folders: those of a new cell are the daemon's, and made ahead, too.
  Cell(Spawner& spawner, std::string dir, std::string image, std::uint32_t number)
      : spawner_(spawner), layout_{std::move(dir)}, image_(std::move(image)), number_(number) {
    layout_.create(sys::DiskEnforcer::counted, 0);
  }

  // All at once, the shell domain first.
  void make(const std::vector<DomainKind>& kinds) {
    std::vector<std::uint32_t> asked;
    for (const DomainKind kind : kinds) asked.push_back(spawner_.ask(request_for(kind)));
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      Spawner::Made made = spawner_.await_made(asked[i]);
      slot_ = made.slot;
      connections_.push_back(std::move(made.connection));
      init_ = connections_.back().get();
      receive();  // its greeting
    }
    init_ = connections_.front().get();
  }

  // What both domains were made for nobody, and for whom is known now: the folders get their name,
  // the domains theirs.
  void adopt() {
    const std::string made_in = layout_.dir;
    layout_.dir += "-adopted";
    sys::rename_file(made_in, layout_.dir);
    spawner_.await(spawner_.ask(sandbox::Adopt{made_in, layout_.dir, "adopted"}));
  }

  // Starts a program in a cgroup of its own; it runs when this returns.
  void start(const std::vector<std::string>& argv) {
    const std::string domain = spawner_.groups(slot_).domain(DomainKind::shell);
    group_ = domain + "/c" + std::to_string(++program_count_);
    sys::make_dirs(group_, 0755);
    const sys::Fd folder = sys::open_file(group_, O_RDONLY | O_DIRECTORY);
    for (const std::string& path : {group_, domain}) {
      sys::give_to(sys::open_file(path + "/cgroup.procs", O_RDONLY).get(),
                   uid_of(DomainKind::shell));
    }
    const sys::Fd null = sys::open_file("/dev/null", O_RDWR);
    wire::SpawnRequest request;
    request.id = static_cast<std::uint32_t>(program_count_);
    request.argv = argv;
    request.env = {"PATH=/usr/bin:/bin"};
    request.cwd = "/";
    request.in_cgroup = true;
    const int fds[] = {null.get(), null.get(), null.get(), folder.get()};
    sys::send_message(init_, wire::encode(wire::InitRequest(request)), fds);
    const auto report = receive();
    if (!std::holds_alternative<wire::Started>(report)) {
      throw Error(ErrorCode::internal, "a program did not start");
    }
  }
  void wait_exit() {
    while (!std::holds_alternative<wire::Exited>(receive())) {
    }
  }
  void run(const std::vector<std::string>& argv) {
    start(argv);
    wait_exit();
    sandbox::try_remove_group(group_);
  }
  // Kills all of the last program, and waits until nothing is left.
  void kill_program() {
    sandbox::kill_group(group_);
    while (!sandbox::try_remove_group(group_)) std::this_thread::sleep_for(kGlance);
    wait_exit();
  }
  std::size_t process_count() const {
    const std::string text = sys::read_file(group_ + "/cgroup.procs").value_or("");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  void end() {
    const sandbox::CgroupPlan groups = spawner_.groups(slot_);
    sandbox::kill_group(groups.cell);
    connections_.clear();
    while (!sandbox::try_remove(groups)) std::this_thread::sleep_for(kGlance);
  }

 private:
  std::uint32_t uid_of(DomainKind kind) const {
    return kFirstUid + (2 * number_ + (kind == DomainKind::shell ? 1 : 0)) * 65536;
  }
  sandbox::MakeDomain request_for(DomainKind kind) const {
    sandbox::MakeDomain request;
    request.spec.cell_id = "bench";
    request.spec.kind = kind;
    request.spec.cell_dir = layout_.dir;
    request.spec.image_dir = image_;
    request.spec.uid_base = uid_of(kind);
    request.spec.tmp_bytes = 64 << 20;
    request.socket_path = layout_.run() + (kind == DomainKind::shell ? "/shell" : "/agent");
    return request;
  }
  wire::InitReport receive() {
    const auto message = sys::receive_message(init_);
    const auto report = message ? wire::decode_init_report(message->bytes) : std::nullopt;
    if (!report) throw Error(ErrorCode::internal, "cell-init is gone");
    return *report;
  }

  Spawner& spawner_;
  cell::CellLayout layout_;
  std::string image_;
  std::uint32_t number_;
  std::string slot_;
  std::vector<sys::Fd> connections_;
  int init_ = -1;
  std::string group_;
  std::uint64_t program_count_ = 0;
};

const std::vector<std::string> kBubblewrap = {
    "bwrap",  "--unshare-all", "--ro-bind", "/usr",       "/usr",      "--symlink", "usr/lib",
    "/lib",   "--symlink",     "usr/lib64", "/lib64",     "--symlink", "usr/bin",   "/bin",
    "--proc", "/proc",         "--dev",     "/dev",       "--tmpfs",   "/tmp",      "--uid",
    "0",      "--gid",         "0",         "--hostname", "cell",      "/bin/true"};

struct Options {
  std::string bin;
  std::string state;
  int runs;
  std::string image;
};

// What a cell's sandbox takes, from nothing to nothing.
struct Parts {
  Times made, program, gone, all;
};

void measure(Parts& parts, Cell& cell, const std::function<void()>& make) {
  parts.all.push_back(milliseconds_of([&] {
    parts.made.push_back(milliseconds_of(make));
    parts.program.push_back(milliseconds_of([&] { cell.run({"/bin/true"}); }));
    parts.gone.push_back(milliseconds_of([&] { cell.end(); }));
  }));
}

void print(const std::string& name, const std::string& made, const Parts& parts,
           const Times& bubblewrap, const Times& floor) {
  print(name, parts.all, "bwrap", bubblewrap);
  print("  of that: " + made, parts.made);
  print("  of that: true", parts.program, "posix_spawn true", floor);
  print("  of that: all gone", parts.gone);
}

void measure_creation(const Options& options) {
  Spawner prepared(options.bin, options.state, 2);
  Spawner unprepared(options.bin, options.state, 0);
  Parts fresh, one, two, cold;
  Times bubblewrap, floor;
  std::uint32_t number = 0;
  const std::vector<DomainKind> shell = {DomainKind::shell};
  const std::vector<DomainKind> both = {DomainKind::shell, DomainKind::agent};
  const auto new_cell = [&](Spawner& spawner) {
    ++number;
    return Cell(spawner, options.state + "/cells/" + std::to_string(number), options.image, number);
  };
  for (int run = 0; run < options.runs; ++run) {
    Cell first = new_cell(prepared);
    first.make(both);
    std::this_thread::sleep_for(kQuiet);
    measure(fresh, first, [&] { first.adopt(); });
    Cell second = new_cell(prepared);
    std::this_thread::sleep_for(kQuiet);
    measure(one, second, [&] { second.make(shell); });
    Cell third = new_cell(prepared);
    std::this_thread::sleep_for(kQuiet);
    measure(two, third, [&] { third.make(both); });
    std::this_thread::sleep_for(kQuiet);
    bubblewrap.push_back(milliseconds_of([] { run_host(kBubblewrap); }));
    Cell fourth = new_cell(unprepared);
    measure(cold, fourth, [&] { fourth.make(both); });
    floor.push_back(milliseconds_of([] { run_host({"/bin/true"}); }));
  }
  print("new cell: taken over, true, gone", "both domains taken over", fresh, bubblewrap, floor);
  print("cell that wakes: made, true, gone", "both domains made", two, bubblewrap, floor);
  print("one domain: made, true, gone", one.all, "bwrap", bubblewrap);
  print("two domains, nothing prepared", cold.all, "bwrap", bubblewrap);
  print("bwrap", bubblewrap, "posix_spawn true", floor);
}

// Other tools with a root folder or bundle, where they are installed and work here.
void measure_runtimes(const Options& options, const Times& reference) {
  const std::string bundle = options.state + "/bundle";
  if (!sys::exists(bundle + "/config.json")) return;
  for (const std::string tool : {"crun", "runsc"}) {
    if (!sys::has_program(tool)) continue;
    Times times;
    try {
      for (int run = 0; run < std::max(3, options.runs / 4); ++run) {
        std::vector<std::string> words = {tool, "run", "--bundle", bundle,
                                          fmt::format("cellar-bench-{}", run)};
        // crun makes no cgroups where the unified tree has some controllers only.
        words.insert(words.begin() + 1,
                     tool == "crun" ? "--cgroup-manager=disabled" : "--network=none");
        times.push_back(milliseconds_of([&] { run_host(words); }));
      }
    } catch (const Error& error) {
      std::fprintf(stderr, "sandbox_bench: %s is left out: %s\n", tool.c_str(), error.what());
      continue;
    }
    print(tool == "crun" ? "crun, no cgroups" : tool, times, "bwrap", reference);
  }
}

void measure_exec(const Options& options) {
  Spawner spawner(options.bin, options.state, 1);
  Cell cell(spawner, options.state + "/cells/exec", options.image, 9000);
  cell.make({DomainKind::shell});
  Times ours, host, shell, host_shell;
  for (int run = 0; run < options.runs * 10; ++run) {
    ours.push_back(milliseconds_of([&] { cell.run({"/bin/true"}); }));
    host.push_back(milliseconds_of([] { run_host({"/bin/true"}); }));
    shell.push_back(milliseconds_of([&] { cell.run({"/bin/sh", "-c", "true"}); }));
    host_shell.push_back(milliseconds_of([] { run_host({"/bin/sh", "-c", "true"}); }));
  }
  print("true in a live cell", ours, "posix_spawn", host);
  print("sh -c true in a live cell", shell, "posix_spawn", host_shell);
  for (const int count : {1, 100, 400}) {
    Times killed, on_host;
    for (int run = 0; run < std::max(3, options.runs / 4); ++run) {
      const std::string script =
          fmt::format("for i in $(seq {}); do sleep 1000 & done; exec sleep 1000", count - 1);
      cell.start({"/bin/sh", "-c", script});
      while (cell.process_count() < static_cast<std::size_t>(count)) std::this_thread::yield();
      killed.push_back(milliseconds_of([&] { cell.kill_program(); }));
      on_host.push_back(kill_on_host(script, count));
    }
    print(fmt::format("kill of {} processes, all gone", count), killed, "kill(2) of a group",
          on_host);
  }
  cell.end();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: sandbox_bench BIN_DIR STATE_DIR RUNS [IMAGE_DIR]\n");
    return 2;
  }
  const Options options{argv[1], argv[2], std::atoi(argv[3]), argc > 4 ? argv[4] : ""};
  try {
    ::prctl(PR_SET_TIMERSLACK, kSlackNs, 0, 0, 0);
    measure_creation(options);
    Times bubblewrap;
    for (int run = 0; run < options.runs; ++run) {
      bubblewrap.push_back(milliseconds_of([] { run_host(kBubblewrap); }));
    }
    measure_runtimes(options, bubblewrap);
    measure_exec(options);
    sandbox::remove_daemon_group(sandbox::read_cgroup_host(), cell::daemon_group_of(options.state));
  } catch (const Error& error) {
    std::fprintf(stderr, "sandbox_bench: %s\n", error.what());
    return 1;
  }
}
