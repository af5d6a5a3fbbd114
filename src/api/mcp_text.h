#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// What tools make of texts for a model, whose room is small. Pure.
namespace cellar::api {

// The beginning and the end of a text that has more than `bytes_max` bytes, and between them how
// many are left out. Cut between characters.
std::string clip_middle(std::string_view text, std::size_t bytes_max);

inline constexpr std::size_t kLinesShownMax = 2000;
inline constexpr std::size_t kLineBytesShownMax = 64 << 10;  // of all lines that are shown

struct ShownLines {
  std::string text;
  std::size_t first = 1;   // of the lines in it, from 1 on
  std::size_t last = 0;    // 0: there is none
  std::size_t total = 0;   // of the whole text
  bool is_cut = false;     // `last` is not all of its line
  bool truncated = false;  // less than was asked for
};
// The lines from `first` to `last` (0: the end), within the limits. Throws Error
// `invalid_argument`, reason `no_such_line`, where there are not so many.
ShownLines show_lines(std::string_view text, std::size_t first, std::size_t last);

struct Replacement {
  std::string old_text;
  std::string new_text;
  bool everywhere = false;
};
struct Replaced {
  std::string text;
  std::size_t count = 0;
  std::size_t first_line = 0;  // where the first one begins
};
inline constexpr std::size_t kEditedBytesMax = 16 << 20;  // of a text behind it
// Throws Error `invalid_argument`, reason `nothing_to_edit`, `text_not_found` or
// `text_not_unique`, or `too_large`, reason `file_too_large`, which says what to do about it.
// `path` is for its text.
Replaced replace_text(std::string_view path, std::string_view text, const Replacement& how);

}  // namespace cellar::api
