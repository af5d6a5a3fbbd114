#include "search/ignore.h"

#include <doctest/doctest.h>

namespace cellar::search {
namespace {

// As many paths as the rules decide, of `path_count`.
int count_decided(const IgnoreRules& rules, const std::string& name, int path_count) {
  int decided = 0;
  while (decided < path_count && !rules.exhausted()) {
    rules.ignores("folder/" + name + std::to_string(decided), PathKind::file);
    if (!rules.exhausted()) ++decided;
  }
  return decided;
}

}  // namespace

TEST_CASE("the last pattern that matches decides, and a deeper folder's come after") {
  IgnoreRules rules;
  rules.add(".", "*.log\n!keep.log\n/top\na/**/z\nlogs/**\n[Bb]in/\n*.[ch]x\n**/deep/f\n");
  rules.add("a", "keep.log\n!x.log\n");
  const auto file = [&](std::string_view path) { return rules.ignores(path, PathKind::file); };
  CHECK(file("x.log"));
  CHECK(file("b/c/x.log"));
  CHECK_FALSE(file("keep.log"));
  CHECK(file("a/keep.log"));
  CHECK_FALSE(file("a/x.log"));
  CHECK(file("ab/x.log"));
  CHECK(file("top"));
  CHECK_FALSE(file("b/top"));
  CHECK(file("a/z"));
  CHECK(file("a/b/c/z"));
  CHECK_FALSE(file("b/z"));
  CHECK(file("logs/b/c"));
  CHECK_FALSE(file("logs"));
  CHECK(file("x/deep/f"));
  CHECK_FALSE(file("x/f"));
  CHECK(file("b.hx"));
  CHECK_FALSE(file("b.ax"));
  CHECK(rules.ignores("x/bin", PathKind::folder));
  CHECK_FALSE(file("x/bin"));
}

TEST_CASE("what may be spent grows with the paths: ordinary patterns never take too long") {
  IgnoreRules rules(IgnoreRules::Limits{.steps_max = 100'000});
  std::string patterns;
  for (int i = 0; i < 50; ++i) {
    const std::string number = std::to_string(i);
    patterns += "[Dd]ebug" + number + "/\n*.ext" + number + "\nname" + number + "\na/*" + number;
    patterns += "*.b\n";
  }
  rules.add(".", patterns);
  CHECK(count_decided(rules, "SomeRatherLongNameOfAFile.cs", 20'000) == 20'000);
}

TEST_CASE("a class costs what it is long") {
  IgnoreRules rules(IgnoreRules::Limits{.steps_max = 1'000'000, .steps_per_path = 0});
  rules.add(".", "*[" + std::string(500, 'b') + "]c\n");
  CHECK(count_decided(rules, std::string(240, 'a'), 1000) < 10);
  CHECK(rules.ignores("anything", PathKind::file));
}

TEST_CASE("rules that are slow end within one path") {
  IgnoreRules rules(IgnoreRules::Limits{.steps_max = 1'000'000, .steps_per_path = 0});
  std::string slow;
  for (int i = 0; i < 1000; ++i) slow += "*[" + std::string(500, 'b') + "]c\n";
  rules.add(".", slow + "!aaa*\n");
  CHECK(rules.ignores(std::string(250, 'a'), PathKind::file));
  CHECK(rules.exhausted());
}

TEST_CASE("rules of other folders cost nothing") {
  IgnoreRules rules(IgnoreRules::Limits{.steps_max = 1000, .steps_per_path = 100});
  for (int i = 0; i < 5000; ++i) rules.add("pkg/module" + std::to_string(i), "x\n");
  CHECK(count_decided(rules, "f", 10'000) == 10'000);
  CHECK(rules.ignores("pkg/module4999/x", PathKind::file));
}

}  // namespace cellar::search
