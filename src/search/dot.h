#pragma once

#include <cstddef>
#include <cstdint>

namespace cellar::search {

// The instructions that a scan of vectors is made of. All give the same integers.
enum class Instructions : std::uint8_t { plain, avx2, avx512 };

bool is_supported(Instructions instructions) noexcept;
// The fastest that this processor has.
Instructions best_instructions() noexcept;

// out[i] = the dot product of `query` with row i of `rows`, for `count` rows of kDimensions
// numbers each, from -127 to 127. `instructions` must be supported.
void dot_products(Instructions instructions, const std::int8_t* query, const std::int8_t* rows,
                  std::size_t count, std::int32_t* out) noexcept;

}  // namespace cellar::search
