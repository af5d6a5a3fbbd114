#include "sys/socket_pair.h"

#include <sys/socket.h>

#include "base/error.h"

namespace cellar::sys {

std::pair<Fd, Fd> stream_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1) throw_errno("socketpair");
  std::pair<Fd, Fd> pair{Fd(ends[0]), Fd(ends[1])};
  set_nonblocking(pair.first.get());
  return pair;
}

}  // namespace cellar::sys
