#include "search/words.h"

#include <algorithm>

namespace cellar::search {
namespace words {

std::size_t part_end(std::string_view identifier, std::size_t begin) noexcept {
  const ByteClass first = class_of(identifier[begin]);
  std::size_t end = begin + 1;
  while (end < identifier.size() && class_of(identifier[end]) == first) ++end;
  if (first != ByteClass::upper || end == identifier.size()) return end;
  if (class_of(identifier[end]) != ByteClass::lower) return end;
  // Upper, then lower: the last capital begins the next word, unless it is the only one.
  if (end - begin > 1) return end - 1;
  while (end < identifier.size() && class_of(identifier[end]) == ByteClass::lower) ++end;
  return end;
}

}  // namespace words

namespace {

struct Ending {
  std::string_view from;
  std::string_view to;
};

// Longest first: the first that fits is the only one taken off.
constexpr Ending kEndings[] = {
    {"ization", "iz"}, {"ations", "at"}, {"ation", "at"}, {"ators", "at"}, {"ating", "at"},
    {"ments", "ment"}, {"izers", "iz"},  {"ator", "at"},  {"ated", "at"},  {"ates", "at"},
    {"sses", "ss"},    {"ings", ""},     {"edly", ""},    {"izer", "iz"},  {"izes", "iz"},
    {"ies", "y"},      {"ing", ""},      {"ers", ""},     {"ors", "or"},   {"ize", "iz"},
    {"ed", ""},        {"er", ""},       {"es", ""},      {"s", ""},       {"e", ""},
};

// Of letters that are double at the end of a word without its ending, one goes.
constexpr bool halves(char letter) { return letter != 's' && letter != 'l'; }

}  // namespace

std::string stem(std::string_view word) {
  constexpr std::size_t kLeftMin = 3;
  for (const auto& [from, to] : kEndings) {
    if (word.size() < from.size() || word.substr(word.size() - from.size()) != from) continue;
    const std::string_view left = word.substr(0, word.size() - from.size());
    if (left.size() + to.size() < kLeftMin) continue;
    if (from == "s" && left.back() == 's') break;  // "class" has lost nothing.
    std::string out(left);
    out.append(to);
    const char last = out.back();
    if (to.empty() && last == out[out.size() - 2] && halves(last) && out.size() > kLeftMin) {
      out.pop_back();
    }
    return out;
  }
  return std::string(word);
}

std::vector<std::string> stem_ends(std::string_view part) {
  std::vector<std::string> ends;
  for (const auto& [from, to] : kEndings) {
    // All of `part` lies in the ending.
    if (from.find(part) != from.npos) return {""};
    // The first `size` letters of the ending are the last of `part`.
    for (std::size_t size = 0; size < part.size() && size <= from.size(); ++size) {
      if (!part.ends_with(from.substr(0, size))) continue;
      const std::string_view before = part.substr(0, part.size() - size);
      if (size > 0) ends.push_back(std::string(before).append(to));
      const std::size_t count = before.size();
      const bool doubled = count > 1 && before[count - 1] == before[count - 2];
      if (to.empty() && doubled && halves(before.back())) ends.emplace_back(before, 0, count - 1);
    }
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

bool is_stop_word(std::string_view word) noexcept {
  static constexpr std::string_view kWords[] = {
      "a",     "about", "all",   "an",   "and",   "any",  "are",   "as",   "at",    "be",
      "been",  "but",   "by",    "can",  "code",  "did",  "do",    "does", "each",  "file",
      "find",  "for",   "from",  "get",  "has",   "have", "how",   "i",    "if",    "in",
      "into",  "is",    "it",    "its",  "me",    "my",   "not",   "of",   "on",    "or",
      "our",   "s",     "show",  "so",   "that",  "the",  "their", "then", "there", "they",
      "this",  "to",    "used",  "uses", "using", "was",  "we",    "were", "what",  "when",
      "where", "which", "while", "who",  "why",   "will", "with",  "you",  "your",
  };
  return std::binary_search(std::begin(kWords), std::end(kWords), word);
}

}  // namespace cellar::search
