#include "cell/work_find.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

struct FindPlace {
  testing::TempDir dir;
  sys::BeneathDir work{dir.path()};

  explicit FindPlace(const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [path, text] : files) work.write_atomic(path, text);
  }
  std::vector<std::string> glob(const GlobRequest& request, bool* truncated = nullptr) const {
    Globber globber(work, request);
    while (globber.step()) continue;
    GlobAnswer answer = globber.take();
    if (truncated != nullptr) *truncated = answer.truncated;
    std::vector<std::string> paths;
    for (const auto& entry : answer.files) paths.push_back(entry.path);
    return paths;
  }
  GrepAnswer grep(const GrepRequest& request,
                  std::chrono::milliseconds time_max = Grepper::kTimeMax) const {
    Grepper grepper(work, request, time_max);
    while (grepper.step()) continue;
    return grepper.take();
  }
};

using FoundPaths = std::vector<std::string>;

}  // namespace

TEST_CASE("files are found by their names, without what search leaves out, unless all are asked") {
  const FindPlace p({{"a.ts", ""},
                     {"src/b.ts", ""},
                     {"src/c.js", ""},
                     {"src/gen/d.ts", ""},
                     {"node_modules/m/e.ts", ""},
                     {".gitignore", "gen/\nb.*\n"}});
  CHECK(p.glob({.pattern = "**/*.ts"}) == FoundPaths{"a.ts"});
  CHECK(p.glob({.pattern = "**/*.ts", .scope = WorkScope::all}) ==
        FoundPaths{"a.ts", "node_modules/m/e.ts", "src/b.ts", "src/gen/d.ts"});
  CHECK(p.glob({.pattern = "*"}) == FoundPaths{".gitignore", "a.ts", "src"});
  CHECK(p.glob({.pattern = "*.js", .path = "src"}) == FoundPaths{"src/c.js"});
  // What is named is looked into.
  CHECK(p.glob({.pattern = "node_modules/**/*.ts"}) == FoundPaths{"node_modules/m/e.ts"});
  CHECK(p.glob({.pattern = "*.ts", .path = "src/gen"}) == FoundPaths{"src/gen/d.ts"});
  CHECK(p.glob({.pattern = "none/*.ts"}).empty());
  CHECK(p.glob({.pattern = "a.ts/*.ts"}).empty());
  CHECK_THROWS_AS(p.glob({.pattern = "*", .path = "none"}), Error);
  CHECK_THROWS_AS(p.glob({.pattern = "*", .path = "a.ts"}), Error);
  CHECK_THROWS_AS(p.glob({.pattern = "*", .path = "../x"}), Error);
  bool truncated = false;
  CHECK(p.glob({.pattern = "**", .limit = 2, .scope = WorkScope::all}, &truncated).size() == 2);
  CHECK(truncated);
  CHECK(p.glob({.pattern = "*", .limit = 3}, &truncated).size() == 3);
  CHECK_FALSE(truncated);
}

TEST_CASE("lines are found with those around them") {
  const FindPlace p({{"a.txt", "one\ntwo needle\r\nthree\n\nfive needle needle\nsix"},
                     {"sub/b.txt", "no\nneedle"}});
  const GrepAnswer answer = p.grep({.pattern = "needle", .context_count = 2});
  REQUIRE(answer.matches.size() == 3);
  CHECK(answer.matches[0].path == "a.txt");
  CHECK(answer.matches[0].line == 2);
  CHECK(answer.matches[0].text == "two needle");
  CHECK(answer.matches[0].before == FoundPaths{"one"});
  CHECK(answer.matches[0].after == FoundPaths{"three", ""});
  CHECK(answer.matches[1].line == 5);
  CHECK(answer.matches[1].before == FoundPaths{"three", ""});
  CHECK(answer.matches[1].after == FoundPaths{"six"});
  CHECK(answer.matches[2].path == "sub/b.txt");
  CHECK(answer.matches[2].line == 2);
  CHECK(answer.file_count == 2);
  CHECK(answer.truncated_by.empty());
  CHECK(p.grep({.pattern = "^$"}).matches.at(0).line == 4);
  CHECK(p.grep({.pattern = "$"}).matches.size() == 8);
  CHECK(p.grep({.pattern = "needle", .path = "sub/b.txt"}).matches.size() == 1);
  CHECK(p.grep({.pattern = "needle", .paths = {"*.txt", "!sub/**"}}).matches.size() == 2);
}

TEST_CASE("a text is looked for as it is, and without regard to case, where that is asked for") {
  const FindPlace p({{"a", "x.y\\E(z\nX.Y\nxay\n"}});
  CHECK(p.grep({.pattern = "x.y"}).matches.size() == 2);
  CHECK(p.grep({.pattern = "x.y", .is_literal = true}).matches.size() == 1);
  CHECK(p.grep({.pattern = "y\\E(z", .is_literal = true}).matches.size() == 1);
  CHECK(p.grep({.pattern = "x.y", .is_literal = true, .ignores_case = true}).matches.size() == 2);
  CHECK_THROWS_AS(p.grep({.pattern = "("}), Error);
  CHECK_THROWS_AS(p.grep({.pattern = ""}), Error);
}

TEST_CASE("what is no text is not searched, and what is beyond a limit is said") {
  const std::string long_line = std::string(Grepper::kLineBytesMax - 1, 'x') + "ü" + "needle";
  const FindPlace p({{"binary", std::string("needle\0", 7)},
                     {"huge", std::string(Grepper::kFileBytesMax + 1, '\n')},
                     {"long", long_line},
                     {"many", "needle\nneedle\nneedle\n"}});
  GrepAnswer answer = p.grep({.pattern = "needle"});
  CHECK(answer.matches.size() == 4);
  CHECK(answer.matches[0].is_cut);
  CHECK(answer.matches[0].text == std::string(Grepper::kLineBytesMax - 1, 'x'));
  CHECK(answer.binary_count == 1);
  CHECK(answer.too_large_count == 1);
  CHECK(answer.file_count == 2);
  answer = p.grep({.pattern = "needle", .limit = 2});
  CHECK(answer.matches.size() == 2);
  CHECK(answer.truncated_by == "limit");
  CHECK(p.grep({.pattern = "needle", .limit = 4}).truncated_by == "");
  CHECK(p.grep({.pattern = "needle"}, std::chrono::milliseconds(0)).truncated_by == "time");
  std::string lines;
  for (int i = 0; i < 6000; ++i) lines += std::string(999, 'y') + "\n";
  p.work.write_atomic("lines", lines);
  CHECK(p.grep({.pattern = "y", .limit = 9999}).truncated_by == "size");
}

TEST_CASE("no match goes beyond its line, and the time ends the search of a large file, too") {
  const FindPlace p({{"a", "one\ntwo\n"}});
  CHECK(p.grep({.pattern = "(?s)one.two"}).matches.empty());
  CHECK(p.grep({.pattern = "o[^x]*"}).matches.size() == 2);
  p.work.write_atomic("large", std::string(Grepper::kFileBytesMax, 'y'));
  const GrepRequest in_large{.pattern = "z|y", .path = "large"};
  CHECK(p.grep(in_large, std::chrono::milliseconds(1)).truncated_by == "time");
}

}  // namespace cellar::cell
