#include "init/spawn.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "init/clone.h"
#include "init/gvisor.h"
#include "init/subtree.h"
#include "sys/call.h"

namespace cellar::init {
namespace {

constexpr std::array<std::string_view, 10> kSteps = {
    "clone3",   "container", "setsid", "cgroup",  "descriptors",
    "terminal", "setrlimit", "chdir",  "seccomp", "execve"};
enum Step : std::uint8_t {
  clone_step,
  container,
  session,
  group,
  descriptors,
  terminal,
  limits,
  folder,
  filter_step,
  exec
};

// What a child with memory of its own tells when it cannot become the program.
struct Failure {
  Step step;
  int error;
};

// Enough for what is below; one command is started at a time.
constexpr std::size_t kStackBytes = 64 << 10;

// All that the child uses, laid out before the clone. The memory is the parent's, who waits
// meanwhile: the child tells there what failed.
struct Plan {
  std::vector<char*> argv;
  std::vector<char*> env;
  std::vector<std::string> programs;  // what to try to execute, in order
  const char* cwd = nullptr;
  std::vector<int> fds;
  bool has_terminal = false;
  std::vector<int> groups;  // cgroup.procs of each, open for writing
  rlimit open_files{};
  rlimit file_bytes{};
  sock_fprog filter{};
  std::optional<Step> failed;
  int error = 0;
  int report = -1;  // where a child tells that does not share the memory
};

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> programs_of(const wire::SpawnRequest& request) {
  const std::string& name = request.argv.front();
  if (name.find('/') != std::string::npos) return {name};
  std::string_view path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& variable : request.env) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  std::vector<std::string> programs;
  for (const std::string_view folder : split(path, ':')) {
    programs.push_back(std::string(folder.empty() ? "." : folder) + "/" + name);
  }
  return programs;
}

// As many as asked for, or as this process may give away.
rlimit open_files_limit(std::uint64_t wanted) {
  rlimit own{};
  ::getrlimit(RLIMIT_NOFILE, &own);
  const rlim_t count = std::min<rlim_t>(wanted, own.rlim_max);
  return {count, count};
}

[[noreturn]] void fail(Plan& plan, Step step) {
  plan.error = errno;
  plan.failed = step;
  const Failure failure{step, plan.error};
  if (plan.report != -1) (void)!::write(plan.report, &failure, sizeof failure);
  ::_exit(127);
}

// gVisor takes no larger number for close_range(2).
constexpr unsigned kLastFd = INT_MAX;

// The sent descriptors become 0, 1, 2, …
void place_descriptors(Plan& plan) {
  constexpr int kAside = 100;
  for (int& fd : plan.fds) {
    fd = ::fcntl(fd, F_DUPFD_CLOEXEC, kAside);
    if (fd == -1) fail(plan, descriptors);
  }
  if (plan.report != -1) plan.report = ::fcntl(plan.report, F_DUPFD_CLOEXEC, kAside);
  int target = 0;
  for (const int fd : plan.fds) {
    if (::dup2(fd, target++) == -1) fail(plan, descriptors);
  }
  if (plan.report != -1) {
    if (::dup3(plan.report, target, O_CLOEXEC) == -1) fail(plan, descriptors);
    plan.report = target++;
  }
  if (::syscall(SYS_close_range, static_cast<unsigned>(target), kLastFd, 0) == -1) {
    fail(plan, descriptors);
  }
}

void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void become(void* laid_out) {
  Plan& plan = *static_cast<Plan*>(laid_out);
  if (::setsid() == -1) fail(plan, session);
  unblock_signals();
  for (const int procs : plan.groups) {
    if (::write(procs, "0", 1) != 1) fail(plan, group);
  }
  place_descriptors(plan);
  if (plan.has_terminal && ::ioctl(STDIN_FILENO, TIOCSCTTY, 0) == -1) fail(plan, terminal);
  ::umask(022);
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) == -1) fail(plan, limits);
  if (plan.open_files.rlim_max != 0 && ::setrlimit(RLIMIT_NOFILE, &plan.open_files) == -1) {
    fail(plan, limits);
  }
  if (plan.file_bytes.rlim_max != 0 && ::setrlimit(RLIMIT_FSIZE, &plan.file_bytes) == -1) {
    fail(plan, limits);
  }
  if (::chdir(plan.cwd) == -1) fail(plan, folder);
  if (plan.filter.len != 0 &&
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &plan.filter, 0, 0) == -1) {
    fail(plan, filter_step);
  }
  int error = ENOENT;
  for (const std::string& program : plan.programs) {
    ::execve(program.c_str(), plan.argv.data(), plan.env.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  errno = error;
  fail(plan, exec);
}

// Who contains the program lives on, and so has memory of its own.
SpawnResult start_contained(Plan& plan, sandbox::Runtime runtime) {
  const bool in_gvisor = runtime == sandbox::Runtime::gvisor;
  sys::Pipe report = sys::make_pipe();
  sys::Pipe status = sys::make_pipe();
  plan.report = report.write_end.get();
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  if (in_gvisor) arguments.flags = CLONE_NEWPID | CLONE_NEWNS;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid == -1) return {-1, std::string(kSteps[clone_step]), errno, {}};
  if (pid == 0) {
    const int told = status.write_end.get();
    if (in_gvisor ? !contain(told) : !keep_subtree(told)) fail(plan, container);
    become(&plan);
  }
  report.write_end.reset();
  Failure failure{};
  const ssize_t size =
      sys::retry_on_signal([&] { return ::read(report.read_end.get(), &failure, sizeof failure); });
  if (size != sizeof failure) return {pid, {}, 0, std::move(status.read_end)};
  sys::retry_on_signal([&] { return ::waitpid(pid, nullptr, 0); });
  return {-1, std::string(kSteps[failure.step]), failure.error, {}};
}

}  // namespace

SpawnResult spawn(const wire::SpawnRequest& request, const std::vector<sys::Fd>& fds,
                  const CommandFilter& filter, sandbox::Runtime runtime) {
  const std::size_t of_groups = request.join_count + (request.in_cgroup ? 1U : 0U);
  if (fds.size() < of_groups) return {-1, "descriptors", EBADF, {}};
  Plan plan;
  plan.argv = pointers_to(request.argv);
  plan.env = pointers_to(request.env);
  plan.programs = programs_of(request);
  plan.cwd = request.cwd.c_str();
  plan.has_terminal = request.has_terminal;
  const std::size_t own_fds = fds.size() - of_groups;
  for (std::size_t i = 0; i < own_fds; ++i) plan.fds.push_back(fds[i].get());
  for (std::size_t i = 0; i < request.join_count; ++i) {
    plan.groups.push_back(fds[own_fds + i].get());
  }
  plan.open_files = open_files_limit(request.open_files_max);
  plan.file_bytes = {request.file_bytes_max, request.file_bytes_max};
  plan.filter = {static_cast<unsigned short>(filter.size()),
                 const_cast<sock_filter*>(filter.data())};
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  if (request.in_cgroup) {
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(fds.back().get());
  }
  if (runtime == sandbox::Runtime::gvisor || !request.in_cgroup) {
    return start_contained(plan, runtime);
  }
  alignas(16) static std::byte stack[kStackBytes];
  const pid_t pid = clone_until_exec(arguments, stack, become, &plan);
  if (pid == -1) return {-1, std::string(kSteps[clone_step]), errno, {}};
  if (!plan.failed) return {pid, {}, 0, {}};
  sys::retry_on_signal([&] { return ::waitpid(pid, nullptr, 0); });
  return {-1, std::string(kSteps[*plan.failed]), plan.error, {}};
}

}  // namespace cellar::init
