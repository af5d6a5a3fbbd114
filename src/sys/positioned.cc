#include "sys/positioned.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys {

std::string read_at(int fd, std::uint64_t offset, std::size_t size, std::string_view name) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = retry_on_signal([&] {
      return ::pread(fd, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    });
    if (got == -1) throw_errno("pread", name);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

bool forget_beginning(int fd, std::uint64_t size, std::string_view name) {
  constexpr int kLeaveLength = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (size == 0) return true;
  const int result = static_cast<int>(
      retry_on_signal([&] { return ::fallocate(fd, kLeaveLength, 0, static_cast<off_t>(size)); }));
  if (result == -1 && errno == EOPNOTSUPP) return false;
  if (result == -1) throw_errno("fallocate", name);
  return true;
}

std::uint64_t file_size(int fd, std::string_view name) {
  struct stat stat{};
  if (::fstat(fd, &stat) == -1) throw_errno("fstat", name);
  return static_cast<std::uint64_t>(stat.st_size);
}

}  // namespace cellar::sys
