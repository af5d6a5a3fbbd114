#include "cell/work_watch.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

struct WatchPlace {
  testing::TempDir dir;
  sys::BeneathDir work{dir.path()};

  WatchPlace() {
    work.write_atomic("a", "1");
    work.write_atomic("src/b", "1");
    work.write_atomic("src/deep/c", "1");
    work.write_atomic(".gitignore", "*.log\n");
  }
  void write(const std::string& path, std::string_view bytes = "2") const {
    sys::make_dirs(std::filesystem::path(dir.file(path)).parent_path().string(), 0755);
    const sys::Fd fd = sys::open_file(dir.file(path), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    sys::write_all(fd.get(), bytes, path);
  }
  void move(const std::string& from, const std::string& to) const {
    std::filesystem::rename(dir.file(from), dir.file(to));
  }
};

std::string story_of(const WorkWatch::Changes& changes) {
  std::string story;
  for (const FileChange& change : changes.list) {
    constexpr std::string_view kWords[] = {"+", "~", "-", ">"};
    story += std::string(kWords[static_cast<int>(change.kind)]);
    if (!change.from.empty()) story += change.from + ":";
    story += change.path + (change.is_folder ? "/ " : " ");
  }
  if (changes.has_overflown) story += "overflow";
  if (changes.is_gone) story += "gone";
  return story;
}

}  // namespace

TEST_CASE("what happens to files below a folder is told, in order, what is repeated once") {
  const WatchPlace p;
  WorkWatch watch(p.work, ".", WorkScope::searched, {});
  CHECK(story_of(watch.take()).empty());
  p.write("a");
  p.write("a");
  p.write("new");
  p.work.write_atomic("api", "x");
  p.work.write_atomic("api", "y");
  CHECK(story_of(watch.take()) == "~a +new +api ");
  p.work.write_atomic("api", "z");
  p.work.set_mode("a", 0600);
  p.move("new", "src/moved");
  sys::remove_file(p.dir.file("a"));
  CHECK(story_of(watch.take()) == "~api ~a >new:src/moved -a ");
  p.write("a");
  sys::remove_file(p.dir.file("a"));
  p.write("a");
  CHECK(story_of(watch.take()) == "+a -a +a ");
}

TEST_CASE("that something happened in a left-out folder is told, where that is wanted") {
  const WatchPlace p;
  p.write("node_modules/m/deep/x");
  p.write("packages/one/node_modules/n/x");
  WorkWatch watch(p.work, ".", WorkScope::searched, {}, LeftOutFolders::noted);
  const auto noted = [&] {
    std::string text;
    const WorkWatch::Changes changes = watch.take();
    for (const std::string& folder : changes.noted) text += folder + " ";
    return text + "| " + story_of(changes);
  };
  p.write("node_modules/.package-lock.json");
  p.write("node_modules/m/deep/x");  // Nobody looks there.
  CHECK(noted() == "node_modules | ");
  p.write("node_modules/m/deep/y");
  CHECK(noted() == "| ");
  p.move("packages/one", "packages/two");
  CHECK(noted() == "| >packages/one:packages/two/ ");
  p.write("packages/two/node_modules/other/x");
  CHECK(noted() == "packages/two/node_modules | ");
  p.write(".git/HEAD");
  CHECK(noted() == ".git | ");
  p.write(".git/index");
  CHECK(noted() == ".git | ");
  p.move("node_modules", "kept");
  CHECK(noted().starts_with("node_modules | +kept/ +kept/.package-lock.json +kept/m/ "));
  p.write("kept/m/deep/x");
  CHECK(noted() == "| ~kept/m/deep/x ");
  std::filesystem::remove_all(p.dir.file(".git"));
  CHECK(noted() == ".git | ");
  p.write("a");
  CHECK(noted() == "| ~a ");
}

TEST_CASE("folders that come, move and go are followed") {
  const WatchPlace p;
  WorkWatch watch(p.work, ".", WorkScope::searched, {});
  p.write("x/y/z");
  CHECK(story_of(watch.take()) == "+x/ +x/y/ +x/y/z ");
  p.write("x/y/z");
  p.write("x/y/w");
  CHECK(story_of(watch.take()) == "~x/y/z +x/y/w ");
  p.move("x", "src/x2");
  CHECK(story_of(watch.take()) == ">x:src/x2/ ");
  p.write("src/x2/y/z");
  CHECK(story_of(watch.take()) == "~src/x2/y/z ");
  const testing::TempDir outside;
  std::filesystem::rename(p.dir.file("src/x2"), outside.file("x"));
  CHECK(story_of(watch.take()) == "-src/x2/ ");
  p.work.write_atomic("q", "");
  sys::replace_file(outside.file("x/y/z"), "unseen");
  CHECK(story_of(watch.take()) == "+q ");
  std::filesystem::rename(outside.file("x"), p.dir.file("back"));
  CHECK(story_of(watch.take()) == "+back/ +back/y/ +back/y/w +back/y/z ");
}

TEST_CASE("what search leaves out is not told, unless all is asked for") {
  const WatchPlace p;
  WorkWatch watch(p.work, ".", WorkScope::searched, {});
  WorkWatch all(p.work, ".", WorkScope::all, {});
  p.write("b.log");
  p.write("node_modules/m/i.js");
  p.move("b.log", "c.txt");
  p.move("c.txt", "d.log");
  CHECK(story_of(watch.take()) == "+c.txt -c.txt ");
  CHECK(story_of(all.take()) ==
        "+b.log +node_modules/ +node_modules/m/ +node_modules/m/i.js >b.log:c.txt >c.txt:d.log ");
}

TEST_CASE("a folder whose name goes on as another one's begins is moved and removed alone") {
  const WatchPlace p;
  for (const char* path : {"d/x", "d-/x", "d.txt", "d0/x"}) p.write(path);
  WorkWatch watch(p.work, ".", WorkScope::searched, {});
  p.move("d", "e");
  CHECK(story_of(watch.take()) == ">d:e/ ");
  for (const char* path : {"e/x", "d-/x", "d0/x"}) p.write(path);
  CHECK(story_of(watch.take()) == "~e/x ~d-/x ~d0/x ");
  p.work.remove("e");
  p.write("d.txt");
  CHECK(story_of(watch.take()) == "-e/x -e/ ~d.txt ");
}

TEST_CASE("a folder that is watched and goes away ends its watch") {
  const WatchPlace p;
  WorkWatch removed(p.work, "src/deep", WorkScope::searched, {});
  WorkWatch moved(p.work, "src", WorkScope::searched, {});
  p.work.remove("src/deep");
  CHECK(story_of(removed.take()) == "-src/deep/c gone");
  moved.take();
  p.move("src", "other");
  CHECK(story_of(moved.take()) == "gone");
}

TEST_CASE("a watch has a largest number of folders and of names, whenever it reaches them") {
  const WatchPlace p;
  for (const WorkWatch::Limits limits :
       {WorkWatch::Limits{.folders_max = 3}, WorkWatch::Limits{.names_max = 6}}) {
    WorkWatch watch(p.work, ".", WorkScope::searched, limits);
    p.write("one/more");
    CHECK_THROWS_AS(watch.take(), Error);
    CHECK_THROWS_AS(WorkWatch(p.work, ".", WorkScope::searched, limits), Error);
    p.work.remove("one");
  }
  CHECK_THROWS_AS(WorkWatch(p.work, "none", WorkScope::searched, {}), Error);
}

TEST_CASE("a watch that can compare no more patterns says so, at its beginning and later") {
  const WatchPlace p;
  const WorkWatch::Limits few{.patterns = {.steps_max = 200, .steps_per_path = 0}};
  WorkWatch watch(p.work, ".", WorkScope::searched, few);
  for (int i = 0; i < 100; ++i) p.write("many" + std::to_string(i));
  CHECK_THROWS_AS(watch.take(), Error);
  CHECK_THROWS_AS(WorkWatch(p.work, ".", WorkScope::searched, few), Error);
}

TEST_CASE("more than the kernel keeps is an overflow, and the watch goes on") {
  const WatchPlace p;
  WorkWatch watch(p.work, ".", WorkScope::searched, {});
  const auto kept = std::stoul(*sys::read_file("/proc/sys/fs/inotify/max_queued_events"));
  if (kept > 100'000) {
    MESSAGE("skipped: the kernel keeps ", kept);
    return;
  }
  // Two files in turn: the kernel joins what is the same.
  for (unsigned long i = 0; i < kept / 2 + 1; ++i) {
    for (const char* path : {"a", "src/b"}) {
      std::filesystem::permissions(p.dir.file(path), std::filesystem::perms(0644));
    }
  }
  CHECK(watch.take().has_overflown);
  p.write("late");
  CHECK(story_of(watch.take()) == "+late ");
}

}  // namespace cellar::cell
