#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cellar::diff {

// Whether a text can be shown line by line: UTF-8 without a NUL byte.
bool is_text(std::string_view bytes) noexcept;

// One file as git knows it. `mode` is 0100644, 0100755 or 0120000 (a link, whose text is what it
// says).
struct PatchSide {
  std::string path;
  unsigned mode = 0;
  std::string_view text;
};

// What made the second file of the first, in the words that `git apply` takes: the head of git, and
// hunks with three lines around. nullopt: there is no such file. Both must be texts. Empty where
// git sees no difference.
std::string patch_of(const std::optional<PatchSide>& before, const std::optional<PatchSide>& after);

// A path as in git's heads: in quotes, with escapes, where it has a byte that is not printable
// ASCII, a quote or a backslash.
std::string quoted_path(std::string_view path);

}  // namespace cellar::diff
