#include "sys/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys {

void Fd::reset(int fd) noexcept {
  if (fd_ != -1) ::close(fd_);
  fd_ = fd;
}

Fd duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy == -1) throw_errno("fcntl F_DUPFD_CLOEXEC");
  return Fd(copy);
}

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) == -1) throw_errno("pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

void set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags == -1 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) throw_errno("fcntl F_SETFL");
}

void set_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags == -1 || ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == -1) throw_errno("fcntl F_SETFL");
}

void fill_standard_streams() noexcept {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) != -1) continue;
    if (::open("/dev/null", O_RDWR) != fd) return;  // It gives the lowest that is free.
  }
}

void give_to(int fd, unsigned id) {
  if (::fchown(fd, id, id) == -1) throw_errno("fchown");
}

unsigned owner_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) == -1) throw_errno("fstat");
  return status.st_uid;
}

}  // namespace cellar::sys
