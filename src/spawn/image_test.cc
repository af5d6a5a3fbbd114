#include "spawn/image.h"

#include <doctest/doctest.h>

#include <barrier>
#include <filesystem>
#include <future>
#include <iterator>
#include <set>
#include <vector>

#include "testing/temp_dir.h"

namespace cellar::spawn {
namespace {

TEST_CASE("spawners that make the dev image at the same time all get it, and leave nothing else") {
  const testing::TempDir dir;
  constexpr std::ptrdiff_t kSpawners = 4;
  std::barrier begin(kSpawners);
  std::vector<std::future<std::string>> spawners;
  for (std::ptrdiff_t i = 0; i < kSpawners; ++i) {
    spawners.push_back(std::async(std::launch::async, [&] {
      begin.arrive_and_wait();
      return prepare_dev_image(dir.path(), sandbox::Rights::root).root;
    }));
  }
  std::set<std::string> roots;
  for (auto& spawner : spawners) roots.insert(spawner.get());
  REQUIRE(roots.size() == 1);
  CHECK(std::filesystem::is_regular_file(*roots.begin() + "/etc/hosts"));
  using Folder = std::filesystem::directory_iterator;
  CHECK(std::distance(Folder(dir.path() / "images"), Folder()) == 1);
}

}  // namespace
}  // namespace cellar::spawn
