#include "search/glob.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace cellar::search {
namespace {

[[noreturn]] void refuse_glob(const std::string& what) {
  throw Error(ErrorCode::invalid_argument, "invalid_pattern", "the pattern " + what,
              "such as src/**/*.{ts,tsx}");
}

struct Braces {
  std::size_t begin = 0;  // of '{'
  std::size_t end = 0;    // behind '}'
  std::vector<std::string> texts;
};

// The first "{a,b}" with a comma; what is no such thing stands for itself.
std::optional<Braces> braces_in(std::string_view pattern, std::size_t from) {
  for (std::size_t begin = from; begin < pattern.size(); ++begin) {
    if (pattern[begin] == '\\') ++begin;
    if (begin >= pattern.size() || pattern[begin] != '{') continue;
    Braces braces{.begin = begin, .texts = {""}};
    int depth = 0;
    for (std::size_t at = begin; at < pattern.size(); ++at) {
      const char c = pattern[at];
      if (c == '{' && depth++ == 0) continue;
      if (c == '}' && --depth == 0) {
        braces.end = at + 1;
        break;
      }
      if (c == ',' && depth == 1) {
        braces.texts.emplace_back();
        continue;
      }
      braces.texts.back() += c;
      if (c == '\\' && at + 1 < pattern.size()) braces.texts.back() += pattern[++at];
    }
    if (braces.end != 0 && braces.texts.size() > 1) return braces;
  }
  return std::nullopt;
}

std::vector<std::string> alternatives_of(std::string_view pattern) {
  std::vector<std::string> open = {std::string(pattern)};
  std::vector<std::string> done;
  while (!open.empty()) {
    const std::string one = std::move(open.back());
    open.pop_back();
    const auto braces = braces_in(one, 0);
    if (!braces) {
      done.push_back(one);
    } else {
      for (const std::string& text : braces->texts) {
        open.push_back(one.substr(0, braces->begin) + text + one.substr(braces->end));
      }
    }
    if (open.size() + done.size() > Glob::kAlternativesMax) {
      refuse_glob("stands for more than " + std::to_string(Glob::kAlternativesMax) + " patterns");
    }
  }
  return done;
}

bool is_plain(std::string_view name) { return name.find_first_of("*?[{}\\") == name.npos; }

// As a line of a .gitignore that is bound to its folder.
std::string line_of(std::string pattern) {
  if (pattern.ends_with(' ')) pattern.insert(pattern.size() - 1, "\\");
  return "/" + pattern + "\n";
}

}  // namespace

Glob::Glob(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kPatternBytesMax - 2) {
    refuse_glob("must have 1 to " + std::to_string(kPatternBytesMax - 2) + " bytes");
  }
  if (pattern.front() == '/') refuse_glob("is relative to a folder, and must not begin with /");
  if (pattern.find_first_of(std::string_view("\0\r\n", 3)) != pattern.npos) {
    refuse_glob("holds a NUL or the end of a line");
  }
  if (pattern.starts_with("./")) pattern.remove_prefix(2);
  std::string lines;
  bool is_deep = false;
  std::size_t depth = 0;
  for (const std::string& one : alternatives_of(pattern)) {
    std::size_t names = 0;
    for (const std::string_view name : split(one, '/')) {
      if (name == "..") refuse_glob("must not lead above its folder by \"..\"");
      is_deep = is_deep || name == "**";
      names += name.empty() ? 0 : 1;
    }
    depth = std::max(depth, names);
    lines += line_of(one);
  }
  rules_.add(".", lines);
  if (!is_deep) depth_max_ = depth;
  const auto names = split(pattern, '/');
  for (std::size_t i = 0; i + 1 < names.size() && is_plain(names[i]) && !names[i].empty(); ++i) {
    base_ = i == 0 ? std::string(names[i]) : base_ + "/" + std::string(names[i]);
  }
  // "src/" is that folder itself.
  if (names.back().empty() && base_ == pattern.substr(0, pattern.size() - 1)) {
    const std::size_t slash = base_.rfind('/');
    base_ = slash == base_.npos ? "." : base_.substr(0, slash);
  }
}

bool Glob::matches(std::string_view path, PathKind kind) const {
  return !exhausted() && rules_.names(path, kind).value_or(false);
}

}  // namespace cellar::search
