#include "search/filter.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::search {
namespace {

using Names = std::vector<std::string>;

bool passes(const Names& patterns, std::string_view path) {
  return Filter(patterns, {}).passes(path, "");
}

}  // namespace

TEST_CASE("a filter takes files by patterns as in .gitignore") {
  CHECK(passes({}, "a/b.ts"));
  CHECK(passes({"src"}, "src/a/b.ts"));
  CHECK(passes({"src/"}, "lib/src/b.ts"));
  CHECK_FALSE(passes({"/src/"}, "lib/src/b.ts"));
  CHECK_FALSE(passes({"src/"}, "src"));
  CHECK(passes({"*.ts"}, "a/b.ts"));
  CHECK_FALSE(passes({"*.ts"}, "a/b.tsx"));
  CHECK(passes({"a/**/b.ts"}, "a/x/y/b.ts"));
  CHECK(passes({"src/", "lib/"}, "lib/b.ts"));
  CHECK_FALSE(passes({"src/", "!*.test.ts"}, "src/b.test.ts"));
  CHECK(passes({"src/", "!*.test.ts"}, "src/b.ts"));
  CHECK(passes({"!tests/"}, "src/b.ts"));
  CHECK_FALSE(passes({"!tests/"}, "tests/a/b.ts"));
}

TEST_CASE("a filter takes files by language, too") {
  const Filter filter({"src/"}, {"python", "go"});
  CHECK(filter.passes("src/a.py", "python"));
  CHECK_FALSE(filter.passes("src/a.ts", "typescript"));
  CHECK_FALSE(filter.passes("a.py", "python"));
  CHECK(Filter({}, {}).is_open());
}

TEST_CASE("what is no filter is refused") {
  CHECK_THROWS_AS(Filter({""}, {}), Error);
  CHECK_THROWS_AS(Filter({"a\nb"}, {}), Error);
  CHECK_THROWS_AS(Filter({std::string(Filter::kPatternBytesMax + 1, 'a')}, {}), Error);
  CHECK_THROWS_AS(Filter(Names(Filter::kPatternsMax + 1, "a"), {}), Error);
  CHECK_THROWS_AS(Filter({}, {"pyton"}), Error);
  CHECK_THROWS_AS(Filter({}, {""}), Error);
  CHECK_THROWS_AS(Filter({}, Names(Filter::kLanguagesMax + 1, "go")), Error);
  CHECK_NOTHROW(Filter(Names(Filter::kPatternsMax, "a"), Names(Filter::kLanguagesMax, "go")));
}

TEST_CASE("patterns that take too long to compare are refused") {
  std::string slow;
  while (slow.size() + 3 < Filter::kPatternBytesMax) slow += "*a";
  const Filter filter(Names(Filter::kPatternsMax, slow + "b"), {});
  const std::string path(4000, 'a');
  const auto ask = [&] {
    for (int file = 0; file < 1000; ++file) filter.passes(path, "");
  };
  CHECK_THROWS_AS(ask(), Error);
}

}  // namespace cellar::search
