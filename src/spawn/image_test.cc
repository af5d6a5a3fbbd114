#include "spawn/image.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barrier>
#include <filesystem>
#include <future>
#include <iterator>
#include <set>
#include <vector>

#include "sys/file.h"
#include "sys/process.h"
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

TEST_CASE("what is left of a spawner that was killed is removed, and what one is at is not") {
  const testing::TempDir dir;
  const auto self = sys::identify(::getpid()).value();
  const std::string own = std::to_string(self.pid) + "-" + std::to_string(self.start_time);
  const std::string later = std::to_string(self.pid) + "-" + std::to_string(self.start_time + 1);
  for (const std::string& writer : {own, later, std::string("0123abcd"), std::string()}) {
    sys::make_dirs(dir.file("images/.dev-draft-" + writer + "-beef/root/etc"));
  }
  prepare_dev_image(dir.path(), sandbox::Rights::root);
  std::vector<std::string> drafts;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path() / "images")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".")) drafts.push_back(name);
  }
  CHECK(drafts == std::vector<std::string>{".dev-draft-" + own + "-beef"});
}

TEST_CASE("an image that has lost a file since the machine was started before is made anew") {
  const testing::TempDir dir;
  const std::string root = prepare_dev_image(dir.path(), sandbox::Rights::root).root;
  const std::string boot = root + "/../boot";
  const std::string hosts = root + "/etc/hosts";
  const auto prepare_after_boot = [&] {
    sys::replace_file(boot, "another", 0644, sys::Durable::no);
    CHECK(prepare_dev_image(dir.path(), sandbox::Rights::root).root == root);
    CHECK(sys::read_file(boot) == sys::boot_id());
  };
  const auto image_node = [&] {
    struct stat state{};
    REQUIRE(::stat(root.c_str(), &state) == 0);
    return state.st_ino;
  };
  const auto node = image_node();
  prepare_after_boot();
  CHECK(image_node() == node);  // All was there.
  const std::string contents = sys::read_file(hosts).value();
  std::filesystem::resize_file(hosts, 0);
  prepare_after_boot();
  CHECK(sys::read_file(hosts) == contents);
}

}  // namespace
}  // namespace cellar::spawn
