#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace cellar::diff {

// The lines of a text, each with its line end; the last one may have none. They refer to the text.
std::vector<std::string_view> lines_of(std::string_view text);

// Which lines of two texts are not in both: the others are the same, one after the other.
struct Edits {
  std::vector<bool> removed;  // by the line of the first text
  std::vector<bool> added;    // by the line of the second
};

// Myers' O(ND) in linear space. The edits are as few as possible, unless a part of the texts has
// more than kEffortMax of them: then they are only right, so that no texts take long.
inline constexpr std::ptrdiff_t kEffortMax = 512;
Edits compare(const std::vector<std::string_view>& before,
              const std::vector<std::string_view>& after);

}  // namespace cellar::diff
