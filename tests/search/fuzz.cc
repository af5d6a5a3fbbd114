// Searches for bytes that the search index cannot take: with the address and undefined behaviour
// sanitizers, and the assertions of the standard library.
//
//   ninja -C build/release search_fuzz
//   build/release/bin/search_fuzz -max_len=3000 -timeout=10 -max_total_time=3600 FOLDER
//   build/release/bin/search_snapshot_fuzz -max_len=3000 -timeout=10 -max_total_time=3600 FOLDER
//
// FOLDER may hold files to begin with; what is found is kept there.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include "base/check.h"
#include "base/error.h"
#include "search/ignore.h"
#include "search/index.h"
#include "search/regex.h"

using namespace cellar::search;

namespace {

constexpr const char* kNames[] = {
    "a.c",  "a.py",   "a.ts",  "a.go", "a.hs", "a.php", "a.rb",          "a.rs",
    "a.sh", "a.java", "a.lua", "a.md", "a.kt", "a",     "x/__init__.py", "tests/a_test.cc"};

// The first three bytes say what is asked, the rest is a text; its end is the query, too.
struct Case {
  std::string path;
  std::string text;
  std::string query;
  QueryOptions options;

  Case(const std::uint8_t* data, std::size_t size)
      : path(kNames[data[0] % std::size(kNames)]),
        text(reinterpret_cast<const char*>(data) + 3, size - 3),
        query(text.substr(text.size() - std::min<std::size_t>(text.size(), data[1]))) {
    const unsigned flags = data[2];
    options.mode = static_cast<Mode>(flags % 4);
    if ((flags & 4) != 0) options.paths = {query.substr(0, 20)};
    if ((flags & 8) != 0) options.chunks_per_file = 3;
    if ((flags & 16) != 0) options.limit = kHitsMax;
  }
};

// Whether the file is found by the expression, if it is one that the text matches.
bool is_found(const Index& index, const std::string& path, const std::string& text,
              const std::string& pattern) {
  const QueryOptions options{.limit = kHitsMax, .chunks_per_file = 1, .mode = Mode::regex};
  const Regex regex(pattern);
  const auto match = regex.find(text, 0);
  if (!match || match->begin == text.size()) return true;
  const Hits hits = index.query(pattern, options);
  return std::any_of(hits.begin(), hits.end(), [&](const Hit& hit) { return hit.path == path; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const Case given(data, size);
  Index index;
  const bool is_indexed = index.put({.path = given.path, .size_bytes = given.text.size()},
                                    given.text) == Admission::indexed;
  const std::string half = given.text.substr(given.text.size() / 2);
  index.put({.path = "z/" + given.path, .size_bytes = half.size()}, half);
  try {
    for (const Hit& hit : index.query(given.query, given.options)) {
      CELLAR_CHECK(hit.start_line >= 1 && hit.end_line >= hit.start_line);
    }
    if (is_indexed && given.options.mode == Mode::regex) {
      CELLAR_CHECK(is_found(index, given.path, given.text, given.query));
    }
  } catch (const cellar::Error&) {
    // A filter or an expression that is none.
  }
  for (const SymbolHit& hit : index.symbols(given.query)) CELLAR_CHECK(hit.line >= 1);
  index.put({.path = given.path, .size_bytes = given.query.size()}, given.query);
  index.remove("z/" + given.path);
  index.query(given.query);
  CELLAR_CHECK(index.stats().chunk_count <= given.query.size());
  IgnoreRules rules;
  rules.add(".", given.query);
  rules.ignores(given.text.substr(0, 60), PathKind::file);
  return 0;
}
