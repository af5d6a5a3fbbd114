#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "sys/fd.h"

namespace cellar::sys {

// What one splice() did. `failed`: the connection broke, or a descriptor cannot be spliced.
struct Spliced {
  enum class State : std::uint8_t { moved, would_block, ended, failed };
  State state = State::failed;
  std::size_t bytes = 0;
};

// Moves up to `bytes_max` from one descriptor to the other, one of them a pipe, without copying
// them through this process: whenever that is killed, each byte is in one of both. Never waits,
// where the other one is a non-blocking socket or terminal; a file may have to wait for its disk.
Spliced splice(int from, int to, std::size_t bytes_max) noexcept;

// A pipe for splice(), both ends non-blocking and close-on-exec, that holds `bytes`, or less where
// the kernel allows less. nullopt where none can be had: a half of the descriptors that this
// process may have is left to others.
std::optional<Pipe> make_splice_pipe(std::size_t bytes) noexcept;

}  // namespace cellar::sys
