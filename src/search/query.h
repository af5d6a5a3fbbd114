#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cellar::search {

inline constexpr std::size_t kQueryBytesMax = 8192;
inline constexpr std::size_t kQueryWordsMax = 64;

// A query, taken apart. Only its first kQueryBytesMax bytes and kQueryWordsMax identifiers count.
struct Query {
  // Every identifier in it, as written: what its vector is made of.
  std::vector<std::string> words;
  // Those to look for; stop words are gone unless nothing else was there.
  std::vector<std::string> identifiers;
  // Their stemmed parts, each once, in order: what file names are compared with.
  std::vector<std::string> stems;
  // Names whose definition is looked for. With `symbol_query` the query is nothing but one name.
  std::vector<std::string> symbols;
  bool symbol_query = false;
  // It asks for tests (examples, …), so these are not pushed down.
  bool wants_tests = false;
  bool wants_examples = false;
};

Query parse_query(std::string_view text);

}  // namespace cellar::search
