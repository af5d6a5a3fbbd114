#include "sys/lock_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "sys/call.h"
#include "sys/file.h"

namespace cellar::sys {

std::optional<Fd> try_lock_file(const std::string& path) {
  Fd fd = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW);
  // A lock of the open file, not of the process: it also keeps out a second opening by ourselves.
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (retry_on_signal([&] { return ::fcntl(fd.get(), F_OFD_SETLK, &whole); }) != -1) return fd;
  if (errno == EAGAIN || errno == EACCES) return std::nullopt;
  throw_errno("lock", path);
}

}  // namespace cellar::sys
