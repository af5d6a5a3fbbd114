// cell-init: PID 1 of a domain, started by the spawner as a blank; `cell-init gvisor` is the first
// process in gVisor.

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/error.h"
#include "init/blank.h"
#include "init/gvisor.h"
#include "init/server.h"
#include "sys/file.h"

namespace {

// What is ignored stays so in programs: the spawner ignores some.
void ignore_no_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
}

// SIGCHLD comes as a descriptor; every other signal is blocked, so that nothing ends PID 1.
cellar::sys::Fd take_signals() {
  sigset_t all;
  sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, nullptr) == -1) cellar::throw_errno("sigprocmask");
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  const int fd = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd == -1) cellar::throw_errno("signalfd");
  return cellar::sys::Fd(fd);
}

// From here on nothing of the host's is open but the control socket.
void leave_output() {
  const cellar::sys::Fd null = cellar::sys::open_file("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(null.get(), fd) == -1) cellar::throw_errno("dup2");
  }
}

}  // namespace

int main(int argc, char** argv) {
  using cellar::sandbox::Runtime;
  const std::string_view mode = argc == 2 ? argv[1] : "";
  if (mode == "gvisor-probe") return cellar::init::probe_gvisor();
  const Runtime runtime = mode == "gvisor" ? Runtime::gvisor : Runtime::native;
  ignore_no_signals();
  try {
    cellar::init::Entered entered =
        runtime == Runtime::gvisor ? cellar::init::enter_gvisor() : cellar::init::become_domain();
    leave_output();
    cellar::init::Server server(std::move(entered.listener), take_signals(),
                                std::move(entered.filter), runtime);
    if (entered.connection) server.take(std::move(entered.connection));
    server.run();
  } catch (const cellar::Error& error) {
    // A blank that nobody needs any more ends without a word.
    const bool is_over = error.code() == cellar::ErrorCode::canceled;
    if (!is_over) std::fprintf(stderr, "cell-init, which cellar-spawn starts: %s\n", error.what());
    return is_over ? 0 : 1;
  }
}
