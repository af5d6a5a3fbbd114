#include "sys/splice.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/call.h"

namespace cellar::sys {

Spliced splice(int from, int to, std::size_t bytes_max) noexcept {
  using State = Spliced::State;
  const ssize_t moved = retry_on_signal([&] {
    return ::splice(from, nullptr, to, nullptr, bytes_max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  });
  if (moved > 0) return {State::moved, static_cast<std::size_t>(moved)};
  if (moved == 0) return {State::ended, 0};
  return {errno == EAGAIN ? State::would_block : State::failed, 0};
}

std::optional<Pipe> make_splice_pipe(std::size_t bytes) noexcept {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == -1) return std::nullopt;
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  // A new descriptor has the lowest number that is free: about as many are open.
  struct rlimit limit{};
  const bool is_known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
  if (is_known && static_cast<rlim_t>(pipe.write_end.get()) >= limit.rlim_cur / 2) {
    return std::nullopt;
  }
  // It holds 64 KiB where that is refused: enough to go on.
  ::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, static_cast<int>(bytes));
  return pipe;
}

}  // namespace cellar::sys
