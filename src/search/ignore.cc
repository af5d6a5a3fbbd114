#include "search/ignore.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "base/text.h"

namespace cellar::search {
namespace ignore {
namespace {

// Reads the class that begins with '[' at `at`; moves `at` behind it. nullopt where it is not
// closed: then '[' is itself. Adds to `steps` the bytes that it read.
std::optional<bool> matches_class(std::string_view pattern, std::size_t& at, char c,
                                  std::uint64_t& steps) noexcept {
  std::size_t p = at + 1;
  const bool negated = p < pattern.size() && (pattern[p] == '!' || pattern[p] == '^');
  if (negated) ++p;
  bool found = false;
  const std::size_t first = p;
  for (; p < pattern.size(); ++p) {
    if (pattern[p] == ']' && p > first) {
      steps += p - at;
      at = p + 1;
      return found != negated;
    }
    if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
    const char low = pattern[p];
    char high = low;
    if (p + 2 < pattern.size() && pattern[p + 1] == '-' && pattern[p + 2] != ']') {
      high = pattern[p + 2];
      p += 2;
    }
    found = found || (low <= c && c <= high);
  }
  steps += pattern.size() - at;
  return std::nullopt;
}

// Matches one character with the pattern's element at `at`, and moves `at` behind that.
bool matches_one(std::string_view pattern, std::size_t& at, char c, std::uint64_t& steps) noexcept {
  if (pattern[at] == '?') {
    ++at;
    return true;
  }
  if (pattern[at] == '[') {
    if (const auto found = matches_class(pattern, at, c, steps)) return *found;
  }
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  return pattern[at++] == c;
}

}  // namespace

// Without recursion: a mismatch goes back to the last '*' only, which is enough.
bool matches_name(std::string_view pattern, std::string_view name, std::uint64_t& steps) noexcept {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = pattern.npos;
  std::size_t star_name = 0;
  while (n < name.size()) {
    ++steps;
    std::size_t next = p;
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_name = n;
    } else if (p < pattern.size() && matches_one(pattern, next, name[n], steps)) {
      p = next;
      ++n;
    } else if (star != pattern.npos) {
      p = star;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace ignore

namespace {

// A line without the spaces at its end, unless they are escaped.
std::string_view without_final_spaces(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  while (!line.empty() && line.back() == ' ' &&
         !(line.size() > 1 && line[line.size() - 2] == '\\')) {
    line.remove_suffix(1);
  }
  return line;
}

}  // namespace

IgnoreRules::Segment IgnoreRules::segment_of(std::string_view text) {
  const auto is_plain = [](std::string_view part) {
    return part.find_first_of("*?[\\") == part.npos;
  };
  if (text == "**") return {Segment::Kind::any_names, {}};
  if (is_plain(text)) return {Segment::Kind::literal, std::string(text)};
  if (text[0] == '*' && is_plain(text.substr(1))) {
    return {Segment::Kind::ending, std::string(text.substr(1))};
  }
  return {Segment::Kind::glob, std::string(text)};
}

void IgnoreRules::add(std::string_view folder, std::string_view gitignore) {
  std::vector<Pattern> patterns;
  for (std::string_view line : split(gitignore, '\n')) {
    line = without_final_spaces(line);
    if (line.empty() || line[0] == '#' || line.size() > kPatternBytesMax) continue;
    if (pattern_count_ == kPatternsMax) break;
    Pattern pattern;
    if (line[0] == '!') {
      pattern.negated = true;
      line.remove_prefix(1);
    }
    while (!line.empty() && line.back() == '/') {
      pattern.folders_only = true;
      line.remove_suffix(1);
    }
    // A slash at the start or in the middle binds the pattern to this folder.
    if (line.find('/') == line.npos) pattern.segments.push_back(segment_of("**"));
    for (const std::string_view segment : split(line, '/')) {
      const bool repeated = segment == "**" && !pattern.segments.empty() &&
                            pattern.segments.back().kind == Segment::Kind::any_names;
      if (!segment.empty() && !repeated) pattern.segments.push_back(segment_of(segment));
    }
    if (line.empty()) continue;
    patterns.push_back(std::move(pattern));
    ++pattern_count_;
  }
  if (patterns.empty()) return;
  auto& all = rules_[folder == "." ? std::string() : std::string(folder)];
  all.insert(all.end(), std::make_move_iterator(patterns.begin()),
             std::make_move_iterator(patterns.end()));
}

bool IgnoreRules::matches(const Segment& segment, std::string_view name) const {
  switch (segment.kind) {
    case Segment::Kind::any_names:
      return true;
    case Segment::Kind::literal:
      return name == segment.text;
    case Segment::Kind::ending:
      return name.ends_with(segment.text);
    case Segment::Kind::glob:
      break;
  }
  std::uint64_t steps = 0;
  const bool matches = ignore::matches_name(segment.text, name, steps);
  spend(steps);
  return matches;
}

// As ignore::matches_name, one level up: "**" is the star, names are the characters.
bool IgnoreRules::matches(const Pattern& pattern, Names names) const {
  constexpr auto kAnyNames = Segment::Kind::any_names;
  const auto& segments = pattern.segments;
  spend(1);
  // Most patterns are decided by the last name alone.
  if (!matches(segments.back(), names.back())) return false;
  if (segments.size() == 2 && segments[0].kind == kAnyNames) return true;
  std::size_t s = 0;
  std::size_t n = 0;
  std::size_t star = segments.size();
  bool starred = false;
  std::size_t star_name = 0;
  while (n < names.size()) {
    spend(1);
    if (s < segments.size() && segments[s].kind == kAnyNames) {
      star = ++s;
      starred = true;
      star_name = n;
      // "a/**" is what lies in a, not a itself.
      if (s == segments.size()) return true;
    } else if (s < segments.size() && matches(segments[s], names[n])) {
      ++s;
      ++n;
    } else if (starred) {
      s = star;
      n = ++star_name;
    } else {
      return false;
    }
  }
  return s == segments.size();
}

bool IgnoreRules::ignores(std::string_view path, PathKind kind) const {
  const bool named = names(path, kind).value_or(false);
  return named || exhausted();
}

std::optional<bool> IgnoreRules::names(std::string_view path, PathKind kind) const {
  if (exhausted()) return std::nullopt;
  steps_left_ = std::min(steps_left_ + limits_.steps_per_path, limits_.steps_max);
  const auto segments = split(path, '/');
  std::optional<bool> named;
  std::size_t folder_bytes = 0;
  for (std::size_t depth = 0; depth < segments.size(); ++depth) {
    constexpr std::size_t kBytesPerStep = 16;  // of names that are looked up
    spend(1 + folder_bytes / kBytesPerStep);
    const auto rules = rules_.find(path.substr(0, folder_bytes));
    if (rules != rules_.end()) decide(rules->second, Names(segments).subspan(depth), kind, named);
    if (exhausted()) return std::nullopt;
    folder_bytes += segments[depth].size() + (depth == 0 ? 0 : 1);
  }
  return named;
}

void IgnoreRules::decide(const std::vector<Pattern>& patterns, Names names, PathKind kind,
                         std::optional<bool>& named) const {
  for (const Pattern& pattern : patterns) {
    if (exhausted()) return;
    if (named == !pattern.negated) continue;  // It could not change the answer.
    if (pattern.folders_only && kind != PathKind::folder) continue;
    if (matches(pattern, names)) named = !pattern.negated;
  }
}

}  // namespace cellar::search
