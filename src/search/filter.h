#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "search/ignore.h"

namespace cellar::search {

// Which files a query looks at. Patterns are those of a .gitignore at the root ("src/", "*.ts",
// "docs/**/*.md"): a file counts if one names it or a folder above it; "!" takes out again, and
// where the first pattern begins with it, all other files count. Not thread-safe.
class Filter {
 public:
  static constexpr std::size_t kPatternsMax = 32;
  static constexpr std::size_t kPatternBytesMax = 256;
  static constexpr std::size_t kLanguagesMax = 32;
  static constexpr std::uint64_t kStepsMax = 100'000'000;  // Some tenths of a second.
  static constexpr std::uint64_t kStepsPerPath = 100;      // Enough for plain patterns.

  // An empty list lets everything pass. Throws Error `invalid_argument` for what is beyond a limit,
  // an empty pattern and an unknown language.
  Filter(const std::vector<std::string>& patterns, const std::vector<std::string>& languages);

  bool is_open() const noexcept { return patterns_.empty() && languages_.empty(); }

  // Throws Error `invalid_argument` once comparing took longer than any sensible pattern needs.
  bool passes(std::string_view path, std::string_view language) const;

 private:
  bool path_passes(std::string_view path) const;

  std::vector<std::string> patterns_;
  std::vector<std::string> languages_;
  IgnoreRules rules_{IgnoreRules::Limits{.steps_max = kStepsMax, .steps_per_path = kStepsPerPath}};
};

}  // namespace cellar::search
