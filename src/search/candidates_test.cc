// In which files a regular expression is looked for: never in fewer than it matches.

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "search/index.h"
#include "search/regex.h"
#include "search/words.h"

namespace cellar::search {
namespace {

using Paths = std::set<std::string>;

const std::string kTooLong(kIdentifierBytesMax + 1, 'x');

class Tree {
 public:
  void put(const std::string& path, const std::string& text) {
    REQUIRE(index_.put({.path = path, .size_bytes = text.size()}, text) == Admission::indexed);
    texts_[path] = text;
  }
  void remove(const std::string& path) {
    index_.remove(path);
    texts_.erase(path);
  }

  std::size_t candidate_count(std::string_view pattern) const {
    return index_.count_candidates(pattern);
  }
  Paths found(std::string_view pattern) const { return found(index_, pattern); }
  // From a snapshot of it.
  Paths found_again(std::string_view pattern) const {
    const std::string bytes = index_.snapshot();
    return found(Index::from_snapshot(bytes), pattern);
  }
  // Without the index.
  Paths matching(std::string_view pattern) const {
    const Regex regex(pattern);
    Paths paths;
    for (const auto& [path, text] : texts_) {
      const auto match = regex.find(text, 0);
      if (match && match->begin < text.size()) paths.insert(path);
    }
    return paths;
  }
  const std::map<std::string, std::string>& texts() const { return texts_; }

 private:
  static Paths found(const Index& index, std::string_view pattern) {
    Paths paths;
    const QueryOptions options{.limit = kHitsMax, .chunks_per_file = 1, .mode = Mode::regex};
    for (const Hit& hit : index.query(pattern, options)) paths.insert(hit.path);
    return paths;
  }

  Index index_;
  std::map<std::string, std::string> texts_;
};

// Writes texts and expressions of the same words, so that they match now and then.
class Writer {
 public:
  explicit Writer(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

  std::string text() {
    std::string out;
    for (std::size_t count = below(20); count > 0; --count) out += word() + separator();
    // A line that chunks cut, wherever; lines enough beside it not to be taken for minified.
    if (below(16) == 0) {
      while (out.size() < 5000) out += word() + "_";
      out += std::string(100, '\n');
    }
    return out;
  }

  std::string pattern(const std::string& text) {
    std::string out = below(3) == 0 ? "(?i)" : "";
    for (std::size_t count = 1 + below(3); count > 0; --count) out += piece(text);
    return out;
  }

 private:
  std::string word() {
    static const std::array<std::string, 40> kWords = {"parse",
                                                       "parsers",
                                                       "Running",
                                                       "runn",
                                                       "classes",
                                                       "entries",
                                                       "validation",
                                                       "validat",
                                                       "HTTPServer",
                                                       "the",
                                                       "of",
                                                       "a",
                                                       "x",
                                                       "12ab34",
                                                       "007",
                                                       "__init__",
                                                       "_",
                                                       "parse_config_v2",
                                                       "MAX_SIZE",
                                                       "gr\u00F6\u00DFe",
                                                       "GR\u00D6SSE",
                                                       "\u212Aelvin",
                                                       "\u017Ftring",
                                                       "STRING",
                                                       "kelvin",
                                                       "ma\u017F\u017Fes",
                                                       "passes",
                                                       "\u043F\u0440\u0438\u0432\u0435\u0442",
                                                       "\xFF\xFE",
                                                       "se\xC5",
                                                       "\xBFting",
                                                       "e\u2014rs",
                                                       "tokenizers",
                                                       "calling",
                                                       "XMLParser2d",
                                                       "ings",
                                                       "ss",
                                                       "running",
                                                       "configuration",
                                                       "0x1Fes"};
    if (below(1000) == 0) return kTooLong + "parser";
    return kWords[below(kWords.size())] + (below(3) == 0 ? word() : "");
  }
  std::string separator() {
    static const std::array<std::string, 8> kSeparators = {" ",  "\n", "(",  ".",
                                                           "::", "-",  ", ", "_"};
    return kSeparators[below(kSeparators.size())];
  }

  std::string piece(const std::string& text) {
    switch (below(12)) {
      case 0: {
        static const std::array<std::string, 12> kPieces = {
            ".", "\\w+", "[a-z]", "\\b", "^", "$", "\\s", ".*", "\\d?", "[sk]", "\\W", "[^x]"};
        return kPieces[below(kPieces.size())];
      }
      case 1:
        return "(" + piece(text) + "|" + piece(text) + ")";
      case 2:
        return "(?:" + piece(text) + ")" + (below(2) == 0 ? "?" : "{1,2}");
      default:
        return literal(text);
    }
  }
  // Some of the text, or of a word, in whatever case.
  std::string literal(const std::string& text) {
    const std::string& from = below(4) == 0 || text.empty() ? word() : text;
    const std::size_t begin = below(from.size());
    std::string out;
    const std::size_t end = std::min(from.size(), begin + 2 + below(20));
    const bool upper = below(4) == 0;
    for (std::size_t at = begin; at < end; ++at) {
      const char c = from[at];
      if (static_cast<unsigned char>(c) >= 0x80) {
        out += c;
      } else if (!is_word_byte(c)) {
        out += c == '\n' ? std::string("\\n") : std::string("\\") + c;
      } else {
        out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      }
    }
    return out;
  }

  std::mt19937 random_;
};

bool is_regex(const std::string& pattern) {
  try {
    const Regex regex(pattern);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

TEST_CASE(
    "a regular expression is looked for in the files that may match, and all matches are found") {
  const std::uint32_t seed = 20261128;
  CAPTURE(seed);
  Writer writer(seed);
  std::size_t match_count = 0;
  std::size_t candidate_count = 0;
  std::size_t file_count = 0;
  for (int tree_number = 0; tree_number < 15; ++tree_number) {
    Tree tree;
    std::vector<std::string> texts;
    for (int i = 0; i < 20; ++i) {
      texts.push_back(writer.text());
      tree.put(std::to_string(i), texts.back());
    }
    tree.remove("3");
    tree.put("4", texts[5]);
    for (int i = 0; i < 40; ++i) {
      const std::string pattern = writer.pattern(texts[writer.below(texts.size())]);
      if (!is_regex(pattern)) continue;
      CAPTURE(pattern);
      const Paths matching = tree.matching(pattern);
      CHECK(tree.found(pattern) == matching);
      if (i == 0) CHECK(tree.found_again(pattern) == matching);
      match_count += matching.size();
      candidate_count += tree.candidate_count(pattern);
      file_count += tree.texts().size();
    }
  }
  MESSAGE(match_count << " matches in " << candidate_count << " of " << file_count << " files");
  CHECK(match_count > 1000);
  CHECK(candidate_count < file_count * 9 / 10);
}

TEST_CASE("files without the words of a regular expression are not read") {
  Tree tree;
  tree.put("session.cc", "class UserSession {\n  bool login(Password the_word);\n};  // mlxmlxe\n");
  tree.put("config.py", "def parse_config(text):\n    return running(text)  # 12ab\n");
  tree.put("empty", "");
  const std::pair<const char*, std::size_t> cases[] = {
      {"UserSession", 1},
      {"(?i)usersession", 1},
      {"rSess", 1},
      {"class\\s+\\w+Session", 1},
      {"(?i)The_Word", 1},
      {"the_word|parse_config", 2},
      {"parse_config\\(text\\)", 1},
      {"runn", 1},
      {"running\\(", 1},
      {"lxe", 1},
      {"_config", 1},
      {"bool.*login", 1},
      {"^def \\w+_config", 1},
      {"parse_konfig", 0},
      {"Session.*nowhere", 0},
      {"(login|running)_nowhere", 0},
      // These say too little: all are read.
      {"\\w+", 2},
      {"ab", 2},
      {"12ab", 2},
      {"ing", 2},
      {"nowhere|\\d+", 2},
      {"\u043F\u0440\u0438\u0432\u0435\u0442", 2},
  };
  for (const auto& [pattern, count] : cases) {
    CAPTURE(pattern);
    CHECK(tree.candidate_count(pattern) == count);
    CHECK(tree.found(pattern) == tree.matching(pattern));
  }
}

TEST_CASE("a file is read for each expression if a word of it is too long, or cut in two") {
  Tree tree;
  tree.put("long", "a(" + kTooLong + "needle);\n");
  std::string line(kChunkBytesMax - 3, '-');
  tree.put("cut", line + "needle\n" + std::string(100, '\n'));
  tree.put("not_cut", line + "---" + line + "\n" + std::string(100, '\n'));
  CHECK(tree.candidate_count("needle") == 2);
  CHECK(tree.candidate_count("nowhere") == 2);
  CHECK(tree.found("needle") == Paths{"long", "cut"});
  CHECK(tree.found_again("needle") == Paths{"long", "cut"});
}

TEST_CASE("two characters beyond ASCII become ASCII letters where case does not count") {
  Tree tree;
  tree.put("k", "\u212Aelvin");
  tree.put("s", "cla\u017F\u017F");
  tree.put("none", "x");
  CHECK(tree.found("(?i)kelvin") == Paths{"k"});
  CHECK(tree.found("(?i)CLASS") == Paths{"s"});
  CHECK(tree.found("kelvin").empty());
  // And no other does: find_holding() relies on it.
  std::string beyond;
  for (std::uint32_t rune = 0x80; rune <= 0x10FFFF; ++rune) {
    if (rune == 0xD800) rune = 0xE000;
    if (rune >= 0x10000) beyond += static_cast<char>(0xF0 | rune >> 18);
    if (rune >= 0x800) {
      beyond += static_cast<char>(rune >= 0x10000 ? 0x80 | (rune >> 12 & 0x3F) : 0xE0 | rune >> 12);
    }
    beyond += static_cast<char>(rune >= 0x800 ? 0x80 | (rune >> 6 & 0x3F) : 0xC0 | rune >> 6);
    beyond += static_cast<char>(0x80 | (rune & 0x3F));
  }
  const Regex ascii("(?i)[\\x00-\\x7F]");
  std::set<std::string> found;
  for (std::size_t from = 0; const auto match = ascii.find(beyond, from); from = match->end) {
    found.insert(beyond.substr(match->begin, match->end - match->begin));
  }
  CHECK(found == std::set<std::string>{"\u017F", "\u212A"});
}

TEST_CASE("what more atoms than are looked for say is not lost") {
  Tree tree;
  std::string pattern;
  for (int i = 0; i < 80; ++i) {
    const std::string word = {
        static_cast<char>('a' + i / 10), static_cast<char>('a' + i % 10), 'w', 'o', 'r', 'd'};
    tree.put(word, word + "\n");
    pattern += (i == 0 ? "" : "|") + word;
  }
  CHECK(Regex(pattern).atoms().size() == Regex::kAtomsMax);
  CHECK(tree.found(pattern) == tree.matching(pattern));
  CHECK(tree.found(pattern).size() == 80);
}

}  // namespace cellar::search
