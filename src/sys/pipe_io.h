#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cellar::sys {

// What a pipe, or a terminal, has and takes now: for descriptors that do not block. A call at a
// pipe waits all the same for who is amidst one at either end of it, as long as that takes.

struct PipeRead {
  std::string bytes;
  bool has_ended = false;  // nobody will write any more, or it cannot be read
};
PipeRead read_pipe(int fd, std::size_t bytes_max);

struct PipeWrite {
  std::size_t byte_count = 0;
  bool is_broken = false;  // nobody will read any more
};
PipeWrite write_pipe(int fd, std::string_view bytes) noexcept;

// Nobody has the other end of a pipe any more, and nothing is left to read. Never waits.
bool is_empty_for_good(int fd) noexcept;

}  // namespace cellar::sys
