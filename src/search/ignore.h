#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
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
  // What comparing may cost, in steps of a few nanoseconds: so many, and some more with each path.
  // Patterns made to be slow end here: every later path is ignored, and `exhausted()` says so.
  struct Limits {
    std::uint64_t steps_max = 100'000'000;
    std::uint64_t steps_per_path = 20'000;  // What is not used is kept, up to steps_max.
  };

  IgnoreRules() : IgnoreRules(Limits()) {}
  explicit IgnoreRules(const Limits& limits) : limits_(limits), steps_left_(limits.steps_max) {}

  // Adds the rules that the .gitignore in `folder` ("." is the root) holds. Call it for a folder
  // before asking for its paths. Patterns above the limits are left out.
  void add(std::string_view folder, std::string_view gitignore);

  // Whether `path`, relative to the root, is ignored.
  bool ignores(std::string_view path, PathKind kind) const;
  // What the last pattern that matches `path` says: true, or false for one with "!". nullopt where
  // none does, and once it is exhausted.
  std::optional<bool> names(std::string_view path, PathKind kind) const;

  bool exhausted() const noexcept { return steps_left_ == 0; }

 private:
  struct Segment {
    enum class Kind : std::uint8_t {
      any_names,  // "**": any number of them
      literal,
      ending,  // a "*" before `text`
      glob
    };
    Kind kind = Kind::glob;
    std::string text;
  };
  struct Pattern {
    std::vector<Segment> segments;
    bool negated = false;
    bool folders_only = false;
  };
  using Names = std::span<const std::string_view>;

  static Segment segment_of(std::string_view text);
  bool matches(const Segment& segment, std::string_view name) const;
  bool matches(const Pattern& pattern, Names names) const;
  void decide(const std::vector<Pattern>& patterns, Names names, PathKind kind,
              std::optional<bool>& named) const;
  void spend(std::uint64_t steps) const noexcept { steps_left_ -= std::min(steps, steps_left_); }

  std::map<std::string, std::vector<Pattern>, std::less<>> rules_;  // by their folder; "" the root
  std::size_t pattern_count_ = 0;
  Limits limits_;
  mutable std::uint64_t steps_left_;
};

namespace ignore {
// Whether one name matches one segment of a pattern: `*`, `?`, `[a-z]`, `[!a]`, `\x`. Adds to
// `steps` the bytes of both that it looked at; at most the product of both sizes, and the name's.
bool matches_name(std::string_view pattern, std::string_view name, std::uint64_t& steps) noexcept;
}  // namespace ignore

}  // namespace cellar::search
