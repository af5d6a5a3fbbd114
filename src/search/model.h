#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace cellar::search {

inline constexpr std::size_t kDimensions = 128;

// A word's place in the embedding, from 0; frequent words come first.
using RowId = std::uint16_t;

// The static embedding that the program carries (src/search/model/README.md): words that are used
// alike have rows that point the same way, and a row is the longer the more its word says. All of
// it is constant and shared by the whole process, and by all processes of the program.
namespace model {

inline constexpr std::size_t kWordCount = 30'000;

// The row of a lower-case word.
std::optional<RowId> find(std::string_view wanted) noexcept;

// Appends the row of a lower-case word to `out`; for an unknown one, those of the longest known
// pieces of at least three letters, from the left.
void append_rows(std::string_view wanted, std::vector<RowId>& out);

std::string_view word(RowId id) noexcept;

// kDimensions numbers of a row; each times scale_of(row) is its value.
const std::int8_t* row(RowId id) noexcept;
float scale_of(RowId id) noexcept;

}  // namespace model
}  // namespace cellar::search
