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
  DiffAnswer diff(DiffRequest request, const WorkDiff::Limits& limits = WorkDiff::Limits()) const {
    const sys::BeneathDir work(work_path);
    WorkDiff diff(work, store, std::move(request), limits);
    while (diff.step()) continue;
    return diff.take();
  }
  void take_checkpoint(const std::string& name) {
    const sys::BeneathDir work(work_path);
    store.begin(name);
    checkpoint::Taker taker(work, store, {.stored_bytes_max = 1 << 20}, std::nullopt, "");
    while (taker.step()) continue;
    store.commit({.id = "cp_" + name, .name = name}, taker.files());
  }
  // "added a, deleted b, ", and "… by files" at the end.
  std::string told(DiffRequest request, const WorkDiff::Limits& limits = WorkDiff::Limits()) const {
    const auto found = diff(std::move(request), limits).differences;
    std::string out;
    for (const auto& change : found.changes) {
      out += std::string(name_of(change.kind)) + " " + change.path() + ", ";
    }
    return found.truncated_by.empty() ? out : out + "by " + found.truncated_by;
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
  CHECK(place.told({}, {.live_files_max = 4}) == "added a, added b, added c, ");
  CHECK(place.told({}, {.live_files_max = 2}) == "added a, added b, by files");
  CHECK(place.told({.limits = {.changes_max = 1}}, {.live_files_max = 2}) == "added a, by files");
}

TEST_CASE("a diff that does not look at all files tells none as deleted that is there") {
  DiffPlace place;
  for (const char* name : {"a", "b", "d/c", "e", "f"}) place.write(name, name);
  place.take_checkpoint("all");
  CHECK(place.told({}, {.live_files_max = 2}) == "by files");
  std::filesystem::remove(place.work_path + "/e");
  place.write("a2", "f");
  CHECK(place.told({}, {.live_files_max = 2}) == "added a2, deleted e, by files");
}

TEST_CASE("a diff of one file does not ask whether a .gitignore names it") {
  DiffPlace place;
  place.write(".gitignore", "*.log\n");
  place.write("app.log", "same");
  place.take_checkpoint("all");
  CHECK(place.told({.path = "app.log"}).empty());
  place.write("app.log", "other");
  place.take_checkpoint("later");
  const DiffRequest both{.from = "all", .to = "later", .path = "app.log"};
  CHECK(place.told(both) == "modified app.log, ");
}

TEST_CASE("a diff of what is reached no more tells that it is gone") {
  DiffPlace place;
  place.write("d/x", "1");
  place.take_checkpoint("all");
  const std::string folder = place.work_path + "/d";
  const DiffRequest request{.path = "d/x"};
  std::filesystem::rename(folder, place.work_path + "/moved");
  place.write("d", "a file now");
  CHECK(place.told(request) == "deleted d/x, ");
  for (const char* target : {"d", "/etc", "../..", "moved"}) {
    CAPTURE(target);
    std::filesystem::remove(folder);
    std::filesystem::create_symlink(target, folder);
    CHECK(place.told(request) == "deleted d/x, ");
  }
}

TEST_CASE("a diff whose patterns are too slow, or whose time is over, tells no change") {
  DiffPlace place;
  for (const char* name : {"a", "d/b"}) place.write(name, "1");
  place.take_checkpoint("all");
  place.write("d/.gitignore", "*[" + std::string(500, 'x') + "]x\n");
  place.write("d/new", "1");
  const WorkDiff::Limits few{.patterns = {.steps_max = 400, .steps_per_path = 0}};
  CHECK(place.told({}, few) == "by patterns");
  CHECK(place.told({.from = "empty", .to = "all"}, few) == "by patterns");
  CHECK(place.told({.scope = WorkScope::all}, few) == "added d/.gitignore, added d/new, ");
  const sys::BeneathDir work(place.work_path);
  WorkDiff late(work, place.store, {.limits = {.time_max = std::chrono::milliseconds(0)}});
  int steps = 0;
  while (late.step()) ++steps;
  CHECK(steps < 6);
  CHECK(late.take().differences.truncated_by == "time");
}

TEST_CASE("a diff of a checkpoint that is not there is refused") {
  const DiffPlace place;
  CHECK_THROWS_WITH_AS(place.diff({.from = "none"}), "the cell has no checkpoint \"none\"", Error);
  CHECK(place.diff({.from = "cp_1"}).from.name == "empty");
}

}  // namespace cellar::cell
