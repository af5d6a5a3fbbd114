#include "search/glob.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::search {
namespace {

bool names_file(const char* pattern, const char* path) {
  return Glob(pattern).matches(path, PathKind::file);
}

}  // namespace

TEST_CASE("a pattern names paths from its folder on") {
  struct Example {
    const char* pattern;
    const char* path;
    bool matches;
  };
  for (const Example& e :
       std::initializer_list<Example>{{"*.ts", "a.ts", true},
                                      {"*.ts", "src/a.ts", false},
                                      {"**/*.ts", "a.ts", true},
                                      {"**/*.ts", "a/b/c.ts", true},
                                      {"src/**/*.ts", "src/a.ts", true},
                                      {"src/**/*.ts", "lib/a.ts", false},
                                      {"src/**", "src/a/b", true},
                                      {"src/**", "src", false},
                                      {"**", "a/b", true},
                                      {"a/**/b", "a/b", true},
                                      {"a/**/b", "a/x/y/b", true},
                                      {"*.{ts,tsx}", "a.tsx", true},
                                      {"*.{ts,tsx}", "a.ts", true},
                                      {"*.{ts,tsx}", "a.t", false},
                                      {"{src,lib/{a,b}}/*.c", "lib/b/x.c", true},
                                      {"{src,lib/{a,b}}/*.c", "lib/c/x.c", false},
                                      {"x{1}", "x{1}", true},
                                      {"\\{a,b\\}", "{a,b}", true},
                                      {"?.c", "a.c", true},
                                      {"?.c", "ab.c", false},
                                      {"[a-c].c", "b.c", true},
                                      {"[!a-c].c", "b.c", false},
                                      {"!x", "!x", true},
                                      {"#x", "#x", true},
                                      {"a b ", "a b ", true},
                                      {"a b ", "a b", false},
                                      {"ü*", "über", true},
                                      {".*", ".env", true},
                                      {"*", ".env", true},
                                      {"\\*", "*", true},
                                      {"\\*", "a", false},
                                      {"./a", "a", true}}) {
    CAPTURE(e.pattern);
    CAPTURE(e.path);
    CHECK(names_file(e.pattern, e.path) == e.matches);
  }
  CHECK(Glob("src/").matches("src", PathKind::folder));
  CHECK_FALSE(names_file("src/", "src"));
}

TEST_CASE("a pattern says how far one has to look") {
  CHECK(Glob("src/a/*.ts").base() == "src/a");
  CHECK(Glob("src/a/*.ts").depth_max() == 3);
  CHECK(Glob("*.ts").base() == ".");
  CHECK(Glob("{a,b/c}/*.ts").depth_max() == 3);
  CHECK(Glob("{a,b}/c/*.ts").base() == ".");
  CHECK(Glob("**/*.ts").depth_max() == std::nullopt);
  CHECK(Glob("src/").base() == ".");
  CHECK(Glob("a/src/").base() == "a");
  CHECK(Glob("file").base() == ".");
}

TEST_CASE("what is no pattern of a folder's paths is refused") {
  for (const std::string& pattern :
       {std::string(), std::string("/a"), std::string("../a"), std::string("a/../b"),
        std::string("a\nb"), std::string("a\0b", 3), std::string(Glob::kPatternBytesMax, 'a'),
        std::string("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"), std::string("{..,a}/x")}) {
    CAPTURE(pattern);
    CHECK_THROWS_AS(Glob{pattern}, Error);
  }
  CHECK_NOTHROW(Glob("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"));
}

}  // namespace cellar::search
