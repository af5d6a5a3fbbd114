#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::search {

// An identifier longer than this is no word of anybody (a key, an image in base64): it is left out.
inline constexpr std::size_t kIdentifierBytesMax = 128;

// Calls `found(identifier)` for each identifier of `text`, in order: it starts with a letter, '_'
// or a non-ASCII character. Invalid UTF-8 is as good as any. Returns how many were left out.
// Template: the hot loop of indexing.
template <typename Found>
std::size_t for_each_identifier(std::string_view text, const Found& found);

// The parts of an identifier, lower case: "parseHTTPRequest_v2" is parse, http, request, v, 2.
// Calls `part(view)`; the view is valid during the call only.
template <typename Part>
void for_each_part(std::string_view identifier, const Part& part);

// A word (lower case) without its ending, so that "indexes", "indexed" and "indexing" are one:
// not linguistics, only the list of endings in docs/internals/search.md.
std::string stem(std::string_view word);

// The stem of a word that holds `part` (lower case) holds it as well, or ends with one of these. An
// empty one says that it may be any stem.
std::vector<std::string> stem_ends(std::string_view part);

// Words that say nothing about what is looked for: "how", "the", "does". `word` is lower case.
bool is_stop_word(std::string_view word) noexcept;

// Details of the templates.
namespace words {

enum class ByteClass : unsigned char { none, lower, upper, digit, underscore };

constexpr std::array<ByteClass, 256> make_classes() {
  std::array<ByteClass, 256> classes{};
  for (int c = 'a'; c <= 'z'; ++c) classes[static_cast<std::size_t>(c)] = ByteClass::lower;
  for (int c = 'A'; c <= 'Z'; ++c) classes[static_cast<std::size_t>(c)] = ByteClass::upper;
  for (int c = '0'; c <= '9'; ++c) classes[static_cast<std::size_t>(c)] = ByteClass::digit;
  classes['_'] = ByteClass::underscore;
  for (std::size_t c = 0x80; c < 0x100; ++c) classes[c] = ByteClass::lower;
  return classes;
}
inline constexpr auto kClasses = make_classes();

inline ByteClass class_of(char c) noexcept { return kClasses[static_cast<unsigned char>(c)]; }

// The end of the part that starts at `begin` (not at '_').
std::size_t part_end(std::string_view identifier, std::size_t begin) noexcept;

}  // namespace words

// Letters, digits, '_' and every byte of a non-ASCII character.
inline bool is_word_byte(char c) noexcept { return words::class_of(c) != words::ByteClass::none; }

template <typename Found>
std::size_t for_each_identifier(std::string_view text, const Found& found) {
  std::size_t left_out_count = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (!is_word_byte(text[at])) {
      ++at;
      continue;
    }
    if (words::class_of(text[at]) == words::ByteClass::digit) {
      while (at < text.size() && words::class_of(text[at]) == words::ByteClass::digit) ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < text.size() && is_word_byte(text[at])) ++at;
    if (at - begin <= kIdentifierBytesMax) {
      found(text.substr(begin, at - begin));
    } else {
      ++left_out_count;
    }
  }
  return left_out_count;
}

template <typename Part>
void for_each_part(std::string_view identifier, const Part& part) {
  std::string lower;
  std::size_t at = 0;
  while (at < identifier.size()) {
    if (words::class_of(identifier[at]) == words::ByteClass::underscore) {
      ++at;
      continue;
    }
    const std::size_t end = words::part_end(identifier, at);
    lower.assign(identifier.substr(at, end - at));
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    part(std::string_view(lower));
    at = end;
  }
}

}  // namespace cellar::search
