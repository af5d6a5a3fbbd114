#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::search {

enum class PathKind : std::uint8_t { file, folder };

// The rules of a tree's .gitignore files, as git reads them: the last pattern that matches decides,
// those of deeper folders come after those of their parents, "!" takes a path back in. A path in
// an ignored folder is not asked for: the walk does not go there (and, as in git, nothing below it
// can be taken back in). Not thread-safe.
class IgnoreRules {
 public:
  static constexpr std::size_t kPatternsMax = 10'000;
  static constexpr std::size_t kPatternBytesMax = 512;
  // Comparisons in the life of one object, unless it is told otherwise. Patterns made to be slow
  // end here: every later path is ignored, and `exhausted()` says so.
  static constexpr std::uint64_t kStepsMax = 1'000'000'000;

  explicit IgnoreRules(std::uint64_t steps_max = kStepsMax) : steps_max_(steps_max) {}

  // Adds the rules that the .gitignore in `folder` ("." is the root) holds. Call it for a folder
  // before asking for its paths. Patterns above the limits are left out.
  void add(std::string_view folder, std::string_view gitignore);

  // Whether `path`, relative to the root, is ignored.
  bool ignores(std::string_view path, PathKind kind) const;
  // What the last pattern that matches `path` says: true, or false for one with "!". nullopt where
  // none does.
  std::optional<bool> names(std::string_view path, PathKind kind) const;

  bool exhausted() const noexcept { return steps_ >= steps_max_; }

 private:
  struct Pattern {
    std::vector<std::string> segments;  // "**" stands for any number of names.
    bool negated = false;
    bool folders_only = false;
  };
  struct Rules {
    std::string prefix;  // The folder with a final '/'; empty for the root.
    std::vector<Pattern> patterns;
  };

  bool matches(const Pattern& pattern, const std::vector<std::string_view>& names) const;

  std::vector<Rules> rules_;
  std::size_t pattern_count_ = 0;
  mutable std::uint64_t steps_ = 0;
  std::uint64_t steps_max_;
};

namespace ignore {
// Whether one name matches one segment of a pattern: `*`, `?`, `[a-z]`, `[!a]`, `\x`. Adds to
// `steps` what it cost; at most the product of both sizes.
bool matches_name(std::string_view pattern, std::string_view name, std::uint64_t& steps) noexcept;
}  // namespace ignore

}  // namespace cellar::search
