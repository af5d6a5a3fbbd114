#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace cellar::search {

inline constexpr std::size_t kChunkBytesMax = 1500;

// A part of a file, whole lines unless one line is longer than a chunk.
struct Chunk {
  std::uint32_t begin = 0;  // Bytes [begin, end) of the text.
  std::uint32_t end = 0;
  std::uint32_t start_line = 1;  // Lines count from 1; the last one belongs to the chunk.
  std::uint32_t end_line = 1;
};

// Cuts `text` into chunks that join up to all of it, each where the code itself makes the smallest
// break: before something that begins, not inside it. An over-long line is cut between UTF-8
// characters. No chunk for an empty text.
std::vector<Chunk> cut_chunks(std::string_view text);

}  // namespace cellar::search
