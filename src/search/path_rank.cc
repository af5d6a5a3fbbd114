#include "search/path_rank.h"

#include <algorithm>

#include "base/text.h"
#include "search/language.h"
#include "search/words.h"

namespace cellar::search {
namespace {

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool has_suffix(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_test_name(std::string_view name) {
  const std::string_view stem = name.substr(0, name.find('.'));
  const bool by_case = has_suffix(stem, "Test") || has_suffix(stem, "Tests");
  return name.substr(0, 5) == "test_" || has_suffix(stem, "_test") || has_suffix(stem, "_tests") ||
         has_suffix(stem, "_spec") || has_suffix(stem, "_fixture") ||
         (by_case && stem.size() > 5) || stem == "conftest" || name.find(".test.") != name.npos ||
         name.find(".spec.") != name.npos;
}

float match_word(const std::string& word, const std::vector<std::string>& path_words) {
  constexpr std::size_t kPrefixMin = 3;
  constexpr float kPrefixCounts = .8F;
  float best = 0;
  for (const auto& other : path_words) {
    if (word == other) return 1;
    const std::size_t shorter = std::min(word.size(), other.size());
    if (shorter >= kPrefixMin && word.compare(0, shorter, other, 0, shorter) == 0) {
      best = kPrefixCounts;
    }
  }
  return best;
}

}  // namespace

std::string_view stem_of_path(std::string_view path) noexcept {
  const std::string_view name = name_of(path);
  const auto dot = name.find('.', 1);  // ".gitignore" is a stem.
  return name.substr(0, dot);
}

std::vector<std::string_view> last_folders(std::string_view path, std::size_t count) {
  auto names = split(path, '/');
  names.pop_back();
  if (names.size() > count)
    names.erase(names.begin(), names.end() - static_cast<std::ptrdiff_t>(count));
  return names;
}

std::vector<std::string> words_of_path(std::string_view path) {
  std::vector<std::string> words;
  const auto add = [&](std::string_view name) {
    for_each_identifier(name, [&](std::string_view identifier) {
      std::string whole;
      int parts = 0;
      for_each_part(identifier, [&](std::string_view part) {
        ++parts;
        words.push_back(stem(part));
        whole.append(part);
      });
      if (parts > 1) words.push_back(whole);
    });
  };
  add(stem_of_path(path));
  for (const auto folder : last_folders(path, 1)) add(folder);
  return words;
}

float path_match(const Query& query, const std::vector<std::string>& path_words) {
  if (query.stems.empty()) return 0;
  float sum = 0;
  for (const auto& word : query.stems) sum += match_word(word, path_words);
  return sum / static_cast<float>(query.stems.size());
}

float path_penalty(const Query& query, std::string_view path, Defines defines) {
  constexpr float kAside = .3F;
  constexpr float kReexports = .5F;
  constexpr float kDeclarations = .7F;
  const std::string_view name = name_of(path);
  float factor = 1;
  bool test = is_test_name(name);
  bool aside = false;
  bool example = false;
  for (const auto folder : last_folders(path, path.size())) {
    test = test || is_one_of(folder, {"test", "tests", "__tests__", "spec", "specs", "testdata",
                                      "fixtures", "__mocks__", "e2e", "Tests"});
    aside = aside || is_one_of(folder, {"compat", "_compat", "legacy", "deprecated", "vendor",
                                        "third_party"});
    example = example ||
              is_one_of(folder, {"example", "examples", "_examples", "samples", "demo", "demos"}) ||
              (is_one_of(folder, {"docs", "doc", "docs_src"}) && is_code(language_of(path)));
  }
  const std::string_view stem = stem_of_path(path);
  aside = aside || is_one_of(stem, {"compat", "_compat", "legacy", "deprecated"});
  if (test && !query.wants_tests) factor *= kAside;
  if (aside) factor *= kAside;
  if (example && !query.wants_examples) factor *= kAside;
  const bool barrel =
      is_one_of(name, {"__init__.py", "index.ts", "index.js", "index.mjs", "mod.rs", "lib.rs"});
  if (barrel && defines == Defines::nothing) factor *= kReexports;
  if (has_suffix(name, ".d.ts")) factor *= kDeclarations;
  return factor;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
  std::size_t i = 0;
  std::size_t j = 0;
  const auto skip = [](std::string_view text, std::size_t& at) {
    while (at < text.size() && (text[at] == '_' || text[at] == '-')) ++at;
  };
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (;;) {
    skip(a, i);
    skip(b, j);
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (lower(a[i++]) != lower(b[j++])) return false;
  }
}

}  // namespace cellar::search
