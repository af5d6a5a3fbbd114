#include "search/symbols.h"

#include <doctest/doctest.h>

#include <string>

namespace cellar::search {
namespace {

// The names found, each followed by a space.
std::string names_in(std::string_view text, Family family) {
  std::string out;
  for (const Symbol& symbol : find_symbols(text, family)) {
    out.append(text.substr(symbol.begin, symbol.size)).append(" ");
  }
  return out;
}

}  // namespace

TEST_CASE("definitions are found in each family of languages") {
  CHECK(names_in("#define kMax 3\nstruct Row {\nRow::~Row() {\n", Family::c) == "kMax Row ~Row ");
  CHECK(names_in("int Map::find(int key) {\nclass Ahead;\n", Family::c) == "find ");
  CHECK(names_in("public final class Gson {\n  public void write(int a) {\n", Family::java) ==
        "Gson write ");
  CHECK(names_in("export const parse = (a) => a;\nfunction* walk() {\n", Family::js) ==
        "parse walk ");
  CHECK(names_in("func (m *Mux) Handle(p string) {\ntype Mux struct {\n", Family::go) ==
        "Handle Mux ");
  CHECK(names_in("newtype Key = Key Text\nparse :: Text -> Key\n", Family::haskell) ==
        "Key parse ");
  CHECK(names_in("trait Logs {\n  public function &get() {\n", Family::php) == "Logs get ");
  CHECK(names_in("class A(B):\n    async def run(self):\n", Family::python) == "A run ");
  CHECK(names_in("module Rack::Utils\n  def self.parse(a)\n", Family::ruby) == "Utils parse ");
  CHECK(names_in("pub(crate) fn run() {\nmacro_rules! put {\n", Family::rust) == "run put ");
  CHECK(names_in("run_all() {\nfunction stop {\n", Family::shell) == "run_all stop ");
  CHECK(names_in("function add(a, b)\n", Family::other) == "add ");
  CHECK(names_in("def f():\n", Family::text).empty());
}

TEST_CASE("a line that only looks like a definition is none, and no line is too odd") {
  CHECK(names_in("return ~(a);\n  x = ~(b) {\n~() {\n~(a) {\n", Family::c).empty());
  CHECK(names_in("if (a) {\n  while (b) {\n// int f() {\n", Family::c).empty());
  for (const Family family :
       {Family::c, Family::java, Family::js, Family::go, Family::haskell, Family::php,
        Family::python, Family::ruby, Family::rust, Family::shell, Family::other, Family::text}) {
    // Every text of up to five characters out of those that the scanner looks for.
    constexpr std::string_view kAlphabet = "a~( {";
    for (std::size_t number = 0; number < 5 * 5 * 5 * 5 * 5; ++number) {
      std::string text;
      for (std::size_t rest = number, i = 0; i < 5; ++i, rest /= 5) text += kAlphabet[rest % 5];
      for (const Symbol& symbol : find_symbols(text, family)) {
        CHECK(symbol.begin + symbol.size <= text.size());
      }
    }
    CHECK(names_in(std::string(1 << 20, '('), family).empty());
  }
}

}  // namespace cellar::search
