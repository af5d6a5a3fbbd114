#include "sys/beneath.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {
namespace {

// The reason of the Error that `call` throws; "" if it throws none.
template <typename Call>
std::string reason_of(Call call) {
  try {
    call();
    return "";
  } catch (const Error& error) {
    return error.reason();
  }
}

// A cell's work folder with a secret beside it, outside.
struct Fixture {
  testing::TempDir host;
  BeneathDir work;

  Fixture() : work(make()) {}
  std::string make() const {
    make_dirs(host.file("work"), 0755);
    replace_file(host.file("secret"), "secret");
    return host.file("work");
  }
  std::string in_work(const std::string& name) const { return host.file("work/" + name); }
  void link(const std::string& target, const std::string& name) const {
    std::filesystem::create_symlink(target, in_work(name));
  }
};

std::vector<std::string> paths_of(const Listing& listing) {
  std::vector<std::string> paths;
  for (const auto& entry : listing.entries) paths.push_back(entry.path);
  return paths;
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("a path is made plain, and one that cannot mean a file of the cell is refused by name") {
  CHECK(normalize_path("a/../b") == "b");
  CHECK(normalize_path("./a//b/./c/") == "a/b/c");
  CHECK(normalize_path("a/..") == ".");
  CHECK(normalize_path(std::string(255, 'x')).size() == 255);
  const std::string too_long(BeneathDir::kPathBytesMax + 1, 'x');
  const std::string long_name(BeneathDir::kNameBytesMax + 1, 'x');
  for (const std::string& path :
       {std::string(), std::string("/etc/passwd"), std::string(".."), std::string("a/../../b"),
        std::string("a\0b", 3), too_long, "a/" + long_name}) {
    CAPTURE(path);
    CHECK(reason_of([&] { normalize_path(path); }) == "invalid_path");
  }
  CHECK_THROWS_WITH_AS(normalize_path("../x"), "path '../x' leads above the cell's files", Error);
}

TEST_CASE("a written file is read back, with its folders made, its mode kept and no leftovers") {
  const Fixture f;
  f.work.write_atomic("a/b/c.txt", "one", 0640);
  CHECK(f.work.read("a/b/c.txt", 100) == "one");
  CHECK(f.work.stat("a/b/c.txt")->mode == 0640);
  CHECK(f.work.stat("a/b")->mode == 0755);
  std::filesystem::permissions(f.in_work("a/b/c.txt"), std::filesystem::perms(0755));
  f.work.write_atomic("a/b/c.txt", "two", 0600);
  CHECK(f.work.read("a/b/c.txt", 100) == "two");
  CHECK(f.work.stat("a/b/c.txt")->mode == 0755);
  CHECK(std::distance(std::filesystem::directory_iterator(f.in_work("a/b")), {}) == 1);
}

TEST_CASE("a rewritten file keeps its owner and loses set-user-id, a new one is root's") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root to own files as somebody else");
    return;
  }
  const Fixture f;
  f.work.write_atomic("x", "1");
  REQUIRE(::chown(f.in_work("x").c_str(), 1000, 1001) == 0);
  REQUIRE(::chmod(f.in_work("x").c_str(), 04755) == 0);
  f.work.write_atomic("x", "2");
  struct stat raw{};
  REQUIRE(::stat(f.in_work("x").c_str(), &raw) == 0);
  CHECK(raw.st_uid == 1000);
  CHECK(raw.st_gid == 1001);
  CHECK((raw.st_mode & 07777) == 0755);

  make_dirs(f.in_work("shared"), 0755);
  REQUIRE(::chown(f.in_work("shared").c_str(), 1000, 1001) == 0);
  REQUIRE(::chmod(f.in_work("shared").c_str(), 02775) == 0);  // New names inherit group 1001.
  f.work.write_atomic("shared/sub/new", "3");
  REQUIRE(::stat(f.in_work("shared/sub/new").c_str(), &raw) == 0);
  CHECK(raw.st_gid == 0);
  REQUIRE(::stat(f.in_work("shared/sub").c_str(), &raw) == 0);
  CHECK(raw.st_gid == 0);
}

TEST_CASE("nothing there is an answer, and a file above the limit an error") {
  const Fixture f;
  CHECK_FALSE(f.work.read("none", 10));
  CHECK_FALSE(f.work.stat("no/such").has_value());
  CHECK_FALSE(f.work.remove("none"));
  CHECK_FALSE(f.work.remove("no/such"));
  CHECK(reason_of([&] { f.work.list("none", Depth::one, 10); }) == "not_found");
  f.work.write_atomic("x", "12345");
  CHECK(f.work.read("x", 5) == "12345");
  CHECK(reason_of([&] { f.work.read("x", 4); }) == "file_too_large");
  CHECK(reason_of([&] { f.work.read("x/y", 4); }) == "not_a_directory");
  CHECK(reason_of([&] { f.work.write_atomic("x/y", ""); }) == "not_a_directory");
  CHECK(reason_of([&] { f.work.list("x", Depth::one, 4); }) == "not_a_directory");
}

TEST_CASE("a link that stays inside is read through, one that leads outside never") {
  const Fixture f;
  f.work.write_atomic("real/file", "inside");
  f.link("real/file", "good");
  f.link("../work/real", "around");  // Comes back, but goes through the outside.
  f.link(f.host.file("secret"), "absolute");
  f.link("../secret", "relative");
  f.link("..", "up");
  f.link("/proc/self/root", "magic");
  f.link("/proc/self/cwd", "cwd");
  f.link("loop", "loop");
  f.link("real", "folder");
  CHECK(f.work.read("good", 100) == "inside");
  CHECK(f.work.read("folder/file", 100) == "inside");
  CHECK(paths_of(f.work.list("folder", Depth::all, 9)) == Paths{"folder/file"});
  for (const std::string path :
       {"absolute", "relative", "up/secret", "magic/etc/passwd", "cwd/x", "around/file"}) {
    CAPTURE(path);
    CHECK(reason_of([&] { f.work.read(path, 100); }) == "path_escapes");
    CHECK(reason_of([&] { f.work.open_read(path); }) == "path_escapes");
    CHECK(reason_of([&] { f.work.stat(path); }) == "path_escapes");
  }
  for (const std::string path : {"up/new", "magic/tmp/new", "cwd/new", "up/new/deep"}) {
    CAPTURE(path);
    CHECK(reason_of([&] { f.work.write_atomic(path, "x"); }) == "path_escapes");
    CHECK(reason_of([&] { f.work.remove(path); }) == "path_escapes");
  }
  CHECK(reason_of([&] { f.work.list("up", Depth::all, 9); }) == "path_escapes");
  CHECK(reason_of([&] { f.work.read("loop", 100); }) == "symlink_loop");
  CHECK(read_file(f.host.file("secret")) == "secret");
  CHECK(std::distance(std::filesystem::directory_iterator(f.host.path()), {}) == 2);
}

TEST_CASE("writing to a link replaces the link, removing it leaves its target") {
  const Fixture f;
  f.work.write_atomic("real/target", "old");
  f.link("real/target", "inside");
  f.link("../secret", "outside");
  f.link("real", "folder");
  f.work.write_atomic("inside", "new");
  f.work.write_atomic("outside", "new");
  CHECK(f.work.read("real/target", 9) == "old");
  CHECK(f.work.read("inside", 9) == "new");
  CHECK(f.work.read("outside", 9) == "new");
  CHECK(read_file(f.host.file("secret")) == "secret");
  f.work.write_atomic("folder/through/x", "y");  // A link to a folder, on the way.
  CHECK(f.work.read("real/through/x", 9) == "y");
  CHECK(f.work.remove("folder"));
  CHECK(f.work.read("real/target", 9) == "old");
}

TEST_CASE("pipes, sockets, devices and folders are refused without waiting for anybody") {
  const Fixture f;
  REQUIRE(::mkfifo(f.in_work("pipe").c_str(), 0666) == 0);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(f.in_work("socket").copy(address.sun_path, sizeof address.sun_path - 1) > 0);
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  std::vector<std::string> names = {"pipe", "socket", "folder"};
  if (::geteuid() == 0) {
    REQUIRE(::mknod(f.in_work("null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0);
    names.push_back("null");
  }
  make_dirs(f.in_work("folder"));
  for (const auto& name : names) {
    CAPTURE(name);
    CHECK(reason_of([&] { f.work.read(name, 9); }) == "not_a_file");
    CHECK(reason_of([&] { f.work.write_atomic(name, "x"); }) == "not_a_file");
    CHECK(f.work.stat(name)->kind == (name == "folder" ? FileKind::directory : FileKind::special));
    CHECK(f.work.remove(name));
  }
  CHECK(f.work.list(".", Depth::all, 9).entries.empty());
}

TEST_CASE("a lease that the cell holds on a file ends the read at once, not in a minute") {
  const Fixture f;
  f.work.write_atomic("x", "1");
  const Fd holder = open_file(f.in_work("x"), O_RDWR);
  if (::fcntl(holder.get(), F_SETLEASE, F_WRLCK) == -1) {
    MESSAGE("skipped: no leases here");
    return;
  }
  // The kernel tells the holder by SIGIO, which would end this process.
  REQUIRE(::fcntl(holder.get(), F_SETSIG, SIGURG) == 0);
  CHECK(reason_of([&] { f.work.read("x", 9); }) == "path_busy");
}

TEST_CASE("a list names what is there, one level or all, and says when it was cut") {
  const Fixture f;
  f.work.write_atomic("b/x", "12");
  f.work.write_atomic("b/c/y", "1");
  f.work.write_atomic("a", "");
  f.work.write_atomic("b.txt", "");
  f.link("/", "link");
  CHECK(paths_of(f.work.list(".", Depth::one, 10)) == Paths{"a", "b", "b.txt", "link"});
  const auto all = f.work.list(".", Depth::all, 10);
  CHECK(paths_of(all) == Paths{"a", "b", "b.txt", "b/c", "b/c/y", "b/x", "link"});
  CHECK_FALSE(all.truncated);
  CHECK(all.entries[5].stat.size_bytes == 2);
  CHECK(all.entries[6].stat.kind == FileKind::symlink);
  CHECK(paths_of(f.work.list("b", Depth::all, 10)) == Paths{"b/c", "b/c/y", "b/x"});
  const auto cut = f.work.list(".", Depth::all, 4);
  CHECK(cut.entries.size() == 4);
  CHECK(cut.truncated);
}

TEST_CASE("the walk enters folders before their files, skips what it is told to, follows no link") {
  const Fixture f;
  f.work.write_atomic("b/x", "");
  f.work.write_atomic("b/c/y", "");
  f.work.write_atomic("a", "");
  f.work.write_atomic("skipped/z", "");
  f.link("b", "link");
  std::string story;
  BeneathDir::Visitor visitor;
  visitor.enter = [&](const std::string& folder) {
    story += "[" + folder;
    return folder == "skipped" ? Walk::skip : Walk::go_on;
  };
  visitor.opened = [&](int fd, const std::string&) { story += fd >= 0 ? "]" : "?"; };
  visitor.visit = [&](const DirEntry& file) { story += " " + file.path + " "; };
  CHECK(f.work.for_each_file(".", visitor));
  CHECK(story == "[.] a [b] b/x [b/c] b/c/y [skipped");
  story.clear();
  CHECK(f.work.for_each_file("b", visitor));
  CHECK(story == "[b] b/x [b/c] b/c/y ");
  story.clear();
  for (const char* none : {"link", "link/c", "a", "absent"})
    CHECK(f.work.for_each_file(none, visitor));
  CHECK(story.empty());
}

TEST_CASE("what is at a path is told without following a link, in its last name or on the way") {
  const Fixture f;
  f.work.write_atomic("b/x", "12");
  f.link("b", "link");
  CHECK(f.work.stat_entry("b/x")->size_bytes == 2);
  CHECK(f.work.stat_entry("b/x")->link_count == 1);
  CHECK(f.work.stat_entry("b")->kind == FileKind::directory);
  CHECK(f.work.stat_entry("link")->kind == FileKind::symlink);
  for (const char* none : {"link/x", "absent", "absent/x", "b/x/y", ".cellar-tmp-1"}) {
    CAPTURE(none);
    CHECK_FALSE(f.work.stat_entry(none).has_value());
  }
}

TEST_CASE("a tree deeper than any path is listed as far as paths go, and removed") {
  const Fixture f;
  constexpr int kDepth = 6000;
  Fd here = open_file(f.in_work("."), O_PATH | O_DIRECTORY);
  for (int i = 0; i < kDepth; ++i) {
    REQUIRE(::mkdirat(here.get(), "d", 0777) == 0);
    here.reset(::openat(here.get(), "d", O_PATH | O_CLOEXEC));
    REQUIRE(::symlinkat("/", here.get(), "root") == 0);
  }
  const auto listing = f.work.list(".", Depth::all, 100'000);
  CHECK(listing.entries.size() > 4000);
  CHECK(listing.entries.back().path.size() <= BeneathDir::kPathBytesMax);
  CHECK(f.work.remove("d"));
  CHECK(f.work.list(".", Depth::all, 9).entries.empty());
  CHECK(exists("/etc"));
}

// The cell swaps the folder `x` for a link to the outside and back, as fast as it can.
TEST_CASE("a folder swapped for a link while it is read, written and removed leads nowhere") {
  const Fixture f;
  make_dirs(f.host.file("outside"));
  replace_file(f.host.file("outside/file"), "secret");
  f.work.write_atomic("x/file", "inside");
  f.link("../outside", "y");
  std::atomic<bool> stop = false;
  std::atomic<int> swaps = 0;
  std::thread cell([&] {
    const std::string x = f.in_work("x");
    const std::string y = f.in_work("y");
    while (!stop) {
      swaps += ::renameat2(AT_FDCWD, x.c_str(), AT_FDCWD, y.c_str(), RENAME_EXCHANGE) == 0;
    }
  });
  int inside = 0;
  int refused = 0;
  int escaped = 0;
  for (int i = 0; i < 1500; ++i) {
    try {
      const auto bytes = f.work.read("x/file", 100);
      escaped += bytes == "secret";
      inside += bytes == "inside";
      if (i % 10 == 0) f.work.write_atomic("x/file", "inside");
      if (i % 10 == 5) f.work.write_atomic("x/new/deep", "inside");
      if (i % 10 == 6) f.work.remove("x/new");
    } catch (const Error& error) {
      CHECK((error.reason() == "path_escapes" || error.reason() == "path_busy"));
      ++refused;
    }
    for (const auto& entry : f.work.list(".", Depth::all, 100).entries) {
      escaped += entry.path.find("secret") != std::string::npos;
    }
  }
  stop = true;
  cell.join();
  MESSAGE("read inside ", inside, ", refused ", refused, ", swaps ", swaps.load());
  CHECK(escaped == 0);
  CHECK(inside > 0);
  CHECK(read_file(f.host.file("outside/file")) == "secret");
  CHECK(std::distance(std::filesystem::directory_iterator(f.host.path() / "outside"), {}) == 1);
}

}  // namespace cellar::sys
