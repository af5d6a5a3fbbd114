#include "search/ignore.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace cellar::search {
namespace ignore {
namespace {

// Reads the class that begins with '[' at `at`; moves `at` behind it. nullopt where it is not
// closed: then '[' is itself.
std::optional<bool> matches_class(std::string_view pattern, std::size_t& at, char c) noexcept {
  std::size_t p = at + 1;
  const bool negated = p < pattern.size() && (pattern[p] == '!' || pattern[p] == '^');
  if (negated) ++p;
  bool found = false;
  const std::size_t first = p;
  for (; p < pattern.size(); ++p) {
    if (pattern[p] == ']' && p > first) {
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
  return std::nullopt;
}

// Matches one character with the pattern's element at `at`, and moves `at` behind that.
bool matches_one(std::string_view pattern, std::size_t& at, char c) noexcept {
  if (pattern[at] == '?') {
    ++at;
    return true;
  }
  if (pattern[at] == '[') {
    if (const auto found = matches_class(pattern, at, c)) return *found;
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
    } else if (p < pattern.size() && matches_one(pattern, next, name[n])) {
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

void IgnoreRules::add(std::string_view folder, std::string_view gitignore) {
  Rules rules;
  if (folder != ".") rules.prefix = std::string(folder) + "/";
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
    if (line.find('/') == line.npos) pattern.segments.emplace_back("**");
    for (const std::string_view segment : split(line, '/')) {
      const bool repeated =
          segment == "**" && !pattern.segments.empty() && pattern.segments.back() == "**";
      if (!segment.empty() && !repeated) pattern.segments.emplace_back(segment);
    }
    if (line.empty()) continue;
    rules.patterns.push_back(std::move(pattern));
    ++pattern_count_;
  }
  if (!rules.patterns.empty()) rules_.push_back(std::move(rules));
}

// As ignore::matches_name, one level up: "**" is the star, names are the characters.
bool IgnoreRules::matches(const Pattern& pattern,
                          const std::vector<std::string_view>& names) const {
  const auto& segments = pattern.segments;
  std::size_t s = 0;
  std::size_t n = 0;
  std::size_t star = segments.size();
  bool starred = false;
  std::size_t star_name = 0;
  while (n < names.size()) {
    ++steps_;
    if (s < segments.size() && segments[s] == "**") {
      star = ++s;
      starred = true;
      star_name = n;
      // "a/**" is what lies in a, not a itself.
      if (s == segments.size()) return true;
    } else if (s < segments.size() && ignore::matches_name(segments[s], names[n], steps_)) {
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
  return exhausted() || names(path, kind).value_or(false);
}

std::optional<bool> IgnoreRules::names(std::string_view path, PathKind kind) const {
  std::optional<bool> named;
  for (const Rules& rules : rules_) {
    if (path.substr(0, rules.prefix.size()) != rules.prefix) continue;
    const auto segments = split(path.substr(rules.prefix.size()), '/');
    for (const Pattern& pattern : rules.patterns) {
      if (named == !pattern.negated) continue;  // It could not change the answer.
      if (pattern.folders_only && kind != PathKind::folder) continue;
      if (matches(pattern, segments)) named = !pattern.negated;
    }
  }
  return named;
}

}  // namespace cellar::search
