#include "cell/work_diff.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

// Files of a cell, with one checkpoint of when there were none.
struct DiffPlace {
  testing::TempDir dir;
  std::string work_path = dir.file("work");
  checkpoint::Store store{dir.file("checkpoints")};

  DiffPlace() {
    sys::make_dirs(work_path);
    store.begin("empty");
    store.commit({.id = "cp_1", .name = "empty"}, {});
  }
  void write(const std::string& path, std::string_view text) const {
    sys::make_dirs(std::filesystem::path(work_path + "/" + path).parent_path());
    sys::replace_file(work_path + "/" + path, text, 0644);
  }
  DiffAnswer diff(DiffRequest request, std::size_t live_files_max = WorkDiff::kLiveFilesMax) const {
    const sys::BeneathDir work(work_path);
    WorkDiff diff(work, store, std::move(request), live_files_max);
    while (diff.step()) continue;
    return diff.take();
  }
  std::string paths(DiffRequest request) const {
    std::string out;
    for (const auto& change : diff(std::move(request)).differences.changes) {
      out += change.path() + " ";
    }
    return out;
  }
};

}  // namespace

TEST_CASE("a diff leaves out what search does, unless all is asked for") {
  const DiffPlace place;
  place.write("src/a", "1");
  place.write("src/ignored", "1");
  place.write("src/.gitignore", "ignored\n");
  place.write("node_modules/p/f", "1");
  CHECK(place.paths({}) == "src/.gitignore src/a ");
  CHECK(place.paths({.scope = WorkScope::all}) ==
        "node_modules/p/f src/.gitignore src/a src/ignored ");
  CHECK(place.paths({.path = "node_modules/p"}) == "node_modules/p/f ");
  CHECK(place.paths({.path = "src/a"}) == "src/a ");
  CHECK(place.paths({.path = "sr"}).empty());
}

TEST_CASE("a diff with more files than it looks at says so") {
  const DiffPlace place;
  for (const char* name : {"a", "b", "c"}) place.write(name, "1");
  CHECK(place.diff({}, 4).differences.truncated_by.empty());
  const checkpoint::Differences found = place.diff({}, 2).differences;
  CHECK(found.truncated_by == "files");
  CHECK(found.changes.size() == 2);
}

TEST_CASE("a diff of a checkpoint that is not there is refused") {
  const DiffPlace place;
  CHECK_THROWS_WITH_AS(place.diff({.from = "none"}), "the cell has no checkpoint \"none\"", Error);
  CHECK(place.diff({.from = "cp_1"}).from.name == "empty");
}

}  // namespace cellar::cell
