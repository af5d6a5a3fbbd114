#include "search/query.h"

#include <algorithm>

#include "base/text.h"
#include "search/words.h"

namespace cellar::search {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

// CamelCase or camelCase or snake_case: nobody writes prose like that.
bool looks_like_symbol(std::string_view identifier) {
  if (identifier.find('_', 1) != identifier.npos) return true;
  bool lower_before = false;
  bool any_lower = false;
  bool hump = false;
  for (const char c : identifier) {
    hump = hump || (is_upper(c) && lower_before);
    lower_before = is_lower(c);
    any_lower = any_lower || lower_before;
  }
  // HTTPServer: two capitals at least, and something small behind them.
  const bool acronym = identifier.size() > 2 && is_upper(identifier[0]) && is_upper(identifier[1]);
  return hump || (acronym && any_lower && is_lower(identifier.back()));
}

// The last name of "a", "a::b", "a.b", "A#b", "a->b", with or without "()"; empty for anything
// else.
std::string_view qualified_name(std::string_view text, bool& qualified) {
  if (text.size() > 2 && text.substr(text.size() - 2) == "()") text.remove_suffix(2);
  std::string_view last;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    while (at < text.size() && (is_word_byte(text[at]) || text[at] == '$')) ++at;
    if (at == begin || words::class_of(text[begin]) == words::ByteClass::digit) return {};
    last = text.substr(begin, at - begin);
    if (at == text.size()) return last;
    qualified = true;
    const std::string_view rest = text.substr(at);
    if (rest.substr(0, 2) == "::" || rest.substr(0, 2) == "->") {
      at += 2;
    } else if (rest[0] == '.' || rest[0] == '#' || rest[0] == '\\') {
      at += 1;
    } else {
      return {};
    }
  }
  return {};
}

}  // namespace

Query parse_query(std::string_view text) {
  Query query;
  text = trim(text.substr(0, kQueryBytesMax));
  bool qualified = false;
  const std::string_view name = qualified_name(text, qualified);
  if (!name.empty() && name.size() <= kIdentifierBytesMax &&
      (qualified || looks_like_symbol(name) || is_upper(name[0]))) {
    query.symbol_query = true;
    query.symbols.emplace_back(name);
  }
  for_each_identifier(text, [&](std::string_view identifier) {
    if (query.words.size() == kQueryWordsMax) return;
    query.words.emplace_back(identifier);
    if (!query.symbol_query && looks_like_symbol(identifier)) {
      query.symbols.emplace_back(identifier);
    }
    const std::string lower = to_lower_ascii(identifier);
    if (!is_stop_word(lower)) query.identifiers.emplace_back(identifier);
    if (lower == "test" || lower == "tests" || lower == "spec") query.wants_tests = true;
    if (lower == "example" || lower == "examples" || lower == "demo") query.wants_examples = true;
  });
  if (query.identifiers.empty()) query.identifiers = query.words;
  for (const auto& identifier : query.identifiers) {
    for_each_part(identifier, [&](std::string_view part) {
      std::string stemmed = stem(part);
      auto& stems = query.stems;
      if (std::find(stems.begin(), stems.end(), stemmed) == stems.end()) {
        stems.push_back(std::move(stemmed));
      }
    });
  }
  return query;
}

}  // namespace cellar::search
