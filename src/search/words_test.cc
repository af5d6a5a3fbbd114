#include "search/words.h"

#include <doctest/doctest.h>

namespace cellar::search {
namespace {

std::string identifiers_in(std::string_view text) {
  std::string out;
  for_each_identifier(text, [&](std::string_view found) { out.append(found).append(" "); });
  return out;
}

std::string parts_of(std::string_view identifier) {
  std::string out;
  for_each_part(identifier, [&](std::string_view part) { out.append(part).append(" "); });
  return out;
}

}  // namespace

TEST_CASE("identifiers are found in any text") {
  CHECK(identifiers_in("int a_b = 3x + c2(d->e); // né") == "int a_b x c2 d e n\xC3\xA9 ");
  CHECK(identifiers_in("").empty());
  CHECK(identifiers_in("12 34 + - \n").empty());
  CHECK(identifiers_in("\xFF\xFE a") == "\xFF\xFE a ");
  const std::string longest(kIdentifierBytesMax, 'a');
  CHECK(identifiers_in(longest + " b") == longest + " b ");
  CHECK(identifiers_in(longest + "a b") == "b ");
  const auto ignore = [](std::string_view) {};
  CHECK(for_each_identifier(longest + " b", ignore) == 0);
  CHECK(for_each_identifier(longest + "a b " + longest + "c", ignore) == 2);
}

TEST_CASE("an identifier is split at underscores, humps, acronyms and digits") {
  CHECK(parts_of("parse_config") == "parse config ");
  CHECK(parts_of("parseConfig") == "parse config ");
  CHECK(parts_of("HTTPServerError") == "http server error ");
  CHECK(parts_of("parseHTTPRequest_v2") == "parse http request v 2 ");
  CHECK(parts_of("utf8Decode") == "utf 8 decode ");
  CHECK(parts_of("__init__") == "init ");
  CHECK(parts_of("MAX_SIZE") == "max size ");
  CHECK(parts_of("A") == "a ");
  CHECK(parts_of("___").empty());
}

TEST_CASE("words lose their endings, the longest that leaves three letters") {
  const std::pair<const char*, const char*> cases[] = {
      {"indexes", "index"},
      {"indexed", "index"},
      {"indexing", "index"},
      {"entries", "entry"},
      {"classes", "class"},
      {"class", "class"},
      {"validations", "validat"},
      {"validation", "validat"},
      {"validators", "validat"},
      {"validator", "validat"},
      {"validating", "validat"},
      {"validated", "validat"},
      {"validates", "validat"},
      {"arguments", "argument"},
      {"settings", "set"},
      {"running", "run"},
      {"supposedly", "suppos"},
      {"tokenizers", "tokeniz"},
      {"tokenizer", "tokeniz"},
      {"tokenization", "tokeniz"},
      {"tokenizes", "tokeniz"},
      {"tokenize", "tokeniz"},
      {"parsers", "pars"},
      {"parser", "pars"},
      {"errors", "error"},
      {"parse", "pars"},
      {"keys", "key"},
      {"passing", "pass"},
      {"calling", "call"},
      {"is", "is"},
      {"uses", "use"},
      {"red", "red"},
      {"", ""},
  };
  for (const auto& [word, stemmed] : cases) CHECK(stem(word) == stemmed);
}

TEST_CASE("the stem of a word that holds a part holds it, or ends as that part lets it end") {
  const auto fits = [](const std::string& stemmed, std::string_view part) {
    if (stemmed.find(part) != std::string::npos) return true;
    for (const std::string& end : stem_ends(part)) {
      if (stemmed.ends_with(end)) return true;
    }
    return false;
  };
  for (const char* beginning : {"", "run", "runn", "pass", "call", "zz", "e", "validat", "ment"}) {
    for (const char* ending :
         {"ization", "izers", "izer",  "izes", "ize", "ations", "ation", "ators", "ator", "ating",
          "ated",    "ates",  "ments", "sses", "ies", "ors",    "ings",  "ing",   "edly", "ed",
          "ers",     "er",    "es",    "s",    "e",   "",       "ss",    "config"}) {
      const std::string word = std::string(beginning) + ending;
      for (std::size_t begin = 0; begin < word.size(); ++begin) {
        for (std::size_t size = 1; size <= word.size() - begin; ++size) {
          CAPTURE(word);
          const std::string part = word.substr(begin, size);
          CAPTURE(part);
          CHECK(fits(stem(word), part));
        }
      }
    }
  }
  CHECK(stem_ends("config").empty());
  CHECK(stem_ends("parse") == std::vector<std::string>{"pars"});
  CHECK(stem_ends("runn") == std::vector<std::string>{"run"});
  CHECK_FALSE(fits("config", "parse"));
  CHECK(fits("any", "ing"));
}

TEST_CASE("stop words say nothing") {
  for (const char* word : {"a", "how", "the", "your", "where"}) CHECK(is_stop_word(word));
  for (const char* word : {"", "parse", "hows", "z"}) CHECK_FALSE(is_stop_word(word));
}

}  // namespace cellar::search
