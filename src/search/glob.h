#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "search/ignore.h"

namespace cellar::search {

// A pattern of paths below one folder: `*`, `?` and `[a-z]` within a name, `**` for any number of
// folders, `{a,b}` for one of several texts, `\` before a character that is meant as it is; with a
// `/` at its end it names folders only. A dot at the start of a name is as any other character.
// Not thread-safe.
class Glob {
 public:
  static constexpr std::size_t kPatternBytesMax = 512;
  static constexpr std::size_t kAlternativesMax = 64;
  static constexpr std::uint64_t kStepsMax = 1'000'000'000;

  // Throws Error `invalid_argument`, reason `invalid_pattern`.
  explicit Glob(std::string_view pattern);

  bool matches(std::string_view path, PathKind kind) const;
  // Comparing took longer than any sensible pattern needs: nothing matches any more.
  bool exhausted() const noexcept { return rules_.exhausted(); }
  // The folder that all its paths lie in, "." for the start; the names of a pattern before the
  // first one that could be several.
  const std::string& base() const noexcept { return base_; }
  // How many names a path of it has at most; nullopt where any number.
  std::optional<std::size_t> depth_max() const noexcept { return depth_max_; }

 private:
  IgnoreRules rules_{IgnoreRules::Limits{.steps_max = kStepsMax, .steps_per_path = 0}};
  std::string base_ = ".";
  std::optional<std::size_t> depth_max_;
};

}  // namespace cellar::search
