#include "sys/terminal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <string>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys {
namespace {

// /dev/ptmx
constexpr unsigned kMajor = 5;
constexpr unsigned kMinor = 2;

bool is_multiplexer(int fd) {
  struct stat stat{};
  struct statfs file_system{};
  return ::fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode) &&
         stat.st_rdev == makedev(kMajor, kMinor) && ::fstatfs(fd, &file_system) == 0 &&
         file_system.f_type == DEVPTS_SUPER_MAGIC;
}

}  // namespace

bool is_terminal(int fd) noexcept { return ::isatty(fd) == 1; }

PseudoTerminal make_terminal(int root) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  const Fd found(static_cast<int>(retry_on_signal(
      [&] { return ::syscall(SYS_openat2, root, "dev/pts/ptmx", &how, sizeof how); })));
  if (!found || !is_multiplexer(found.get())) {
    throw Error(ErrorCode::unavailable, "no_terminals", "the cell has no terminals at /dev/pts",
                "run it without a terminal");
  }
  const std::string path = "/proc/self/fd/" + std::to_string(found.get());
  PseudoTerminal terminal;
  terminal.master = Fd(::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!terminal.master) throw_errno("open", "/dev/pts/ptmx");
  const int unlocked = 0;
  if (::ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) == -1) throw_errno("TIOCSPTLCK");
  terminal.slave = Fd(::ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave) throw_errno("TIOCGPTPEER");
  return terminal;
}

void resize_terminal(int master, TerminalSize size) {
  winsize wanted{};
  wanted.ws_col = size.columns;
  wanted.ws_row = size.rows;
  if (::ioctl(master, TIOCSWINSZ, &wanted) == -1) throw_errno("TIOCSWINSZ");
}

}  // namespace cellar::sys
