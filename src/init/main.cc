// cell-init: PID 1 of a domain. `cell-init sandboxed` is how the spawner starts it, `cell-init
// plain` how tests do: with the control socket and no sandbox.

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "base/error.h"
#include "init/enter.h"
#include "init/server.h"
#include "sys/file.h"

namespace {

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
  ::close(cellar::init::kReportFd);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc == 2 ? argv[1] : "";
  if (mode != "sandboxed" && mode != "plain") {
    std::fprintf(stderr, "cell-init: it is started by cellar-spawn\n");
    return 2;
  }
  try {
    cellar::init::CommandFilter filter;
    if (mode == "sandboxed") {
      filter = cellar::init::enter_domain();
      leave_output();
    }
    ::fcntl(cellar::init::kListenerFd, F_SETFD, FD_CLOEXEC);
    cellar::init::Server server(cellar::sys::Fd(cellar::init::kListenerFd), take_signals(),
                                std::move(filter));
    server.run();
  } catch (const cellar::Error& error) {
    const std::string text = std::string("cell-init: ") + error.what() + "\n";
    (void)!::write(mode == "sandboxed" ? cellar::init::kReportFd : STDERR_FILENO, text.data(),
                   text.size());
    return 1;
  }
}
