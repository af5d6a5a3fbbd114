#include "search/regex.h"

#include <re2/re2.h>

#include <string>

#include "base/error.h"

namespace cellar::search {
namespace {

[[noreturn]] void refuse_pattern(const std::string& what) {
  throw Error(ErrorCode::invalid_argument, "invalid_regex", what);
}

}  // namespace

Regex::Regex(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kPatternBytesMax) {
    refuse_pattern("a regular expression has 1 to " + std::to_string(kPatternBytesMax) + " bytes");
  }
  constexpr std::int64_t kMemoryBytesMax = 8 << 20;  // Of the automaton; it starts anew beyond.
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMemoryBytesMax);
  const std::string in_lines = "(?m:" + std::string(pattern) + ")";
  compiled_ = std::make_unique<re2::RE2>(in_lines, options);
  if (!compiled_->ok()) {
    refuse_pattern("the regular expression is not one of RE2: " + compiled_->error());
  }
}

Regex::~Regex() = default;

std::optional<Regex::Match> Regex::find(std::string_view text, std::size_t from) const {
  re2::StringPiece found;
  const re2::StringPiece all(text.data(), text.size());
  if (!compiled_->Match(all, from, text.size(), re2::RE2::UNANCHORED, &found, 1)) {
    return std::nullopt;
  }
  const auto begin = static_cast<std::size_t>(found.data() - text.data());
  return Match{begin, begin + found.size()};
}

}  // namespace cellar::search
