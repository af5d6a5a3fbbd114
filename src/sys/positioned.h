#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cellar::sys {

// The bytes at `offset` of a file: fewer than `size` only at its end. Throws Error.
std::string read_at(int fd, std::uint64_t offset, std::size_t size, std::string_view name);

// Gives back the room of a file's first `size` bytes; it is as long as before. False where its file
// system cannot. Throws Error.
[[nodiscard]] bool forget_beginning(int fd, std::uint64_t size, std::string_view name);

std::uint64_t file_size(int fd, std::string_view name);

}  // namespace cellar::sys
