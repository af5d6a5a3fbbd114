#include "sys/folder_watch.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/directory.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {
namespace {

using PathSet = std::set<std::string>;

struct Watched {
  testing::TempDir dir;
  std::optional<FolderWatch> watch;

  explicit Watched(std::size_t folders_max = FolderWatch::kFoldersMax)
      : watch(FolderWatch::make(folders_max)) {
    REQUIRE(watch.has_value());
    REQUIRE(add("."));
  }
  bool add(const std::string& path) {
    return watch->add(open_file(dir.file(path), O_RDONLY | O_DIRECTORY).get(), path);
  }
  void make_folder(const std::string& path) {
    make_dirs(dir.file(path));
    REQUIRE(add(path));
    (void)watch->take();
  }
};

}  // namespace

TEST_CASE("a watch tells which files were made, written, moved, made readable and removed") {
  Watched f;
  f.make_folder("a");
  replace_file(f.dir.file("a/new"), "1");  // By way of another name, which is told, too.
  CHECK(f.watch->take().files.contains("a/new"));
  CHECK(f.watch->take().files.empty());

  write_all(open_file(f.dir.file("a/new"), O_WRONLY | O_APPEND).get(), "2", "new");
  CHECK(f.watch->take().files == PathSet{"a/new"});
  REQUIRE(::truncate(f.dir.file("a/new").c_str(), 0) == 0);
  CHECK(f.watch->take().files == PathSet{"a/new"});
  REQUIRE(::chmod(f.dir.file("a/new").c_str(), 0644) == 0);
  CHECK(f.watch->take().files == PathSet{"a/new"});
  rename_file(f.dir.file("a/new"), f.dir.file("moved"));
  CHECK(f.watch->take().files == PathSet{"a/new", "moved"});
  remove_file(f.dir.file("moved"));
  const auto changes = f.watch->take();
  CHECK(changes.files == PathSet{"moved"});
  CHECK(changes.new_folders.empty());
  CHECK(changes.old_folders.empty());
  CHECK(changes.complete);
}

TEST_CASE("a watch tells which folders are new, and which are where they were no longer") {
  Watched f;
  make_dirs(f.dir.file("a/b"));
  CHECK(f.watch->take().new_folders == PathSet{"a"});  // What is in it nobody watched.
  REQUIRE(f.add("a"));
  rename_file(f.dir.file("a/b"), f.dir.file("c"));
  auto changes = f.watch->take();
  CHECK(changes.new_folders == PathSet{"c"});
  CHECK(changes.old_folders == PathSet{"a/b"});
  remove_tree(f.dir.file("a"));
  changes = f.watch->take();
  CHECK(changes.old_folders == PathSet{"a"});
  CHECK(f.watch->folder_count() == 1);
}

TEST_CASE("a store through a mapping is told once the mapping is gone") {
  Watched f;
  replace_file(f.dir.file("mapped"), "old");
  void* bytes = nullptr;
  {
    const Fd fd = open_file(f.dir.file("mapped"), O_RDWR);
    bytes = ::mmap(nullptr, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  }
  REQUIRE(bytes != MAP_FAILED);
  (void)f.watch->take();
  *static_cast<char*>(bytes) = 'c';
  CHECK(f.watch->take().files.empty());
  REQUIRE(::munmap(bytes, 3) == 0);
  CHECK(f.watch->take().files == PathSet{"mapped"});
}

TEST_CASE("a watch follows as many folders as it may") {
  Watched f(2);
  make_dirs(f.dir.file("a"));
  make_dirs(f.dir.file("b"));
  CHECK(f.add("a"));
  CHECK_FALSE(f.add("b"));
}

TEST_CASE("a watch does not follow without end one who changes files as fast as it reads") {
  Watched f;
  for (const char* name : {"a", "b", "c"}) replace_file(f.dir.file(name), "");
  CHECK_FALSE(f.watch->take(3).complete);
}

TEST_CASE("a watch says so when more happened than the kernel keeps") {
  Watched f;
  const Fd first = open_file(f.dir.file("a"), O_WRONLY | O_CREAT);
  const Fd second = open_file(f.dir.file("b"), O_WRONLY | O_CREAT);
  const auto queue = read_file("/proc/sys/fs/inotify/max_queued_events");
  // Two changes in a row of one file are one.
  for (std::size_t count = std::stoul(queue.value()); count > 0; --count) {
    write_all_at(first.get(), "x", 0, "a");
    write_all_at(second.get(), "x", 0, "b");
  }
  CHECK_FALSE(f.watch->take().complete);
  CHECK(f.watch->take().complete);
}

}  // namespace cellar::sys
