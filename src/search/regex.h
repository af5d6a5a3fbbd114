#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class FilteredRE2;
}

namespace cellar::search {

// A regular expression (RE2's syntax): searching takes time linear in the text, whatever the
// expression is; at worst some tenths of a second for each window. `^` and `$` are the ends of
// lines. May be used by several threads.
class Regex {
 public:
  static constexpr std::size_t kPatternBytesMax = 1024;
  static constexpr std::size_t kAtomBytesMin = 3;
  static constexpr std::size_t kAtomsMax = 32;
  // What is looked at in one piece, and how long a match may be to be found wherever it is. One
  // that is longer is found where it fits into a window, or a part of it. A text that is no larger
  // than a window is looked at as a whole; and where matches have no line ends, any that consists
  // of lines no longer than kMatchBytesMax is, too.
  static constexpr std::size_t kWindowBytes = 32 << 10;
  static constexpr std::size_t kMatchBytesMax = 8 << 10;

  // Whether a match may go beyond the end of a line; `never` where `\n` matches nothing.
  enum class LineEnds : std::uint8_t { matched, never };

  // Throws Error `invalid_argument`, reason `invalid_regex`, which says what is wrong with it.
  explicit Regex(std::string_view pattern, LineEnds line_ends = LineEnds::matched);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  struct Match {
    std::size_t begin = 0;  // Bytes [begin, end) of the text.
    std::size_t end = 0;
  };
  // Asked between windows.
  using GoesOn = std::function<bool()>;
  // The first match at or behind `from`. nullopt also where it is not to go on.
  std::optional<Match> find(std::string_view text, std::size_t from,
                            const GoesOn& goes_on = {}) const;

  // Texts of at least kAtomBytesMin bytes that decide whether there can be a match; at most
  // kAtomsMax, and none where nothing can be said. They are lower case, and so is a text in which
  // they are looked for: that of Unicode, character by character.
  const std::vector<std::string>& atoms() const noexcept { return atoms_; }
  // Whether a text can match that holds those atoms, a bit each, the first the lowest. One that
  // can match with some atoms can match with more of them.
  bool can_match(std::uint32_t atoms) const;

 private:
  struct Window {
    std::size_t end = 0;
    std::size_t next = 0;  // where the one behind it begins
  };
  Window window_at(std::string_view text, std::size_t from) const;
  std::optional<Match> find_before(std::string_view text, std::size_t from, std::size_t end) const;

  const LineEnds line_ends_;
  std::unique_ptr<re2::FilteredRE2> compiled_;
  std::vector<std::string> atoms_;
  std::size_t all_atom_count_ = 0;
};

}  // namespace cellar::search
