#include "sys/pipe_io.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "sys/call.h"

namespace cellar::sys {

PipeRead read_pipe(int fd, std::size_t bytes_max) {
  PipeRead read{std::string(bytes_max, '\0')};
  std::size_t size = 0;
  while (size < bytes_max && !read.has_ended) {
    const ssize_t got =
        retry_on_signal([&] { return ::read(fd, read.bytes.data() + size, bytes_max - size); });
    if (got == -1 && errno == EAGAIN) break;
    read.has_ended = got <= 0;
    if (got > 0) size += static_cast<std::size_t>(got);
  }
  read.bytes.resize(size);
  return read;
}

PipeWrite write_pipe(int fd, std::string_view bytes) noexcept {
  PipeWrite write;
  while (write.byte_count < bytes.size()) {
    const std::string_view rest = bytes.substr(write.byte_count);
    const ssize_t put = retry_on_signal([&] { return ::write(fd, rest.data(), rest.size()); });
    if (put == -1) {
      write.is_broken = errno != EAGAIN;
      break;
    }
    write.byte_count += static_cast<std::size_t>(put);
  }
  return write;
}

bool is_empty_for_good(int fd) noexcept {
  pollfd state{fd, POLLIN, 0};
  if (retry_on_signal([&] { return ::poll(&state, 1, 0); }) != 1) return false;
  return (state.revents & (POLLHUP | POLLIN)) == POLLHUP;
}

}  // namespace cellar::sys
