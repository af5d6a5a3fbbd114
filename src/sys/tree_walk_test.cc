#include "sys/tree_walk.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "sys/directory.h"
#include "testing/temp_dir.h"

namespace cellar::sys {
namespace {

struct Stepped {
  std::string paths;
  std::vector<std::size_t> steps;  // how many names each looked at
  bool is_cut = false;
};

Stepped walk_through(const std::string& folder, std::size_t names_max) {
  TreeWalk walk(open_file(folder, O_PATH | O_DIRECTORY), ".", names_max);
  Stepped stepped;
  std::size_t count = 0;
  TreeWalk::Visitor visitor;
  visitor.each = [&](DirEntry& entry) {
    ++count;
    if (entry.path.find("many/") == entry.path.npos) stepped.paths += entry.path + " ";
  };
  while (walk.step(visitor)) stepped.steps.push_back(std::exchange(count, 0));
  stepped.is_cut = walk.is_cut();
  CHECK(walk.is_over());
  return stepped;
}

}  // namespace

TEST_CASE("a walk goes through a large folder in parts") {
  const testing::TempDir dir;
  make_dirs(dir.file("b/many"));
  make_dirs(dir.file("c"));
  for (std::size_t i = 0; i <= TreeWalk::kNamesPerStep; ++i) {
    replace_file(dir.file("b/many/" + std::to_string(i)), "", 0644);
  }
  for (const char* path : {"a", "b/z", "c/x"}) replace_file(dir.file(path), "", 0644);
  const Stepped all = walk_through(dir.path(), 10'000);
  CHECK(all.paths == "a b c b/many b/z c/x ");
  CHECK(all.steps == std::vector<std::size_t>{3, 2, TreeWalk::kNamesPerStep, 1, 1});
  CHECK_FALSE(all.is_cut);
  const Stepped cut = walk_through(dir.path(), 5 + TreeWalk::kNamesPerStep);
  CHECK(cut.steps == std::vector<std::size_t>{3, 2, TreeWalk::kNamesPerStep});
  CHECK(cut.is_cut);
}

}  // namespace cellar::sys
