#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "sys/beneath.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {
namespace {

template <typename Call>
std::string reason_of_change(Call call) {
  try {
    call();
    return "";
  } catch (const Error& error) {
    return error.reason();
  }
}

// A cell's work folder with another one beside it, outside.
struct Place {
  testing::TempDir host;
  BeneathDir work;

  Place() : work(make()) {}
  std::string make() const {
    make_dirs(host.file("work"), 0755);
    make_dirs(host.file("outside"), 0755);
    return host.file("work");
  }
  std::size_t count(const std::string& folder) const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(host.file(folder)), {}));
  }
};

}  // namespace

TEST_CASE("a file that is written in pieces takes its place when it is whole, or leaves nothing") {
  const Place p;
  p.work.write_atomic("f", "old", 0640);
  {
    PendingFile file = p.work.begin_write("f", {});
    file.write("ne");
    file.write("w");
    CHECK(p.work.read("f", 9) == "old");
    file.finish(Durable::yes);
    file.replace(Durable::yes);
    PendingFile never = p.work.begin_write("deep/g", {});
    never.write("x");
  }
  CHECK(p.work.read("f", 9) == "new");
  CHECK(p.work.stat("f")->mode == 0640);
  CHECK(p.count("work/deep") == 0);
  PendingFile file = p.work.begin_write("f", {.mode = 0755, .mtime_ns = 1'500'000'000});
  file.finish(Durable::no);
  file.replace(Durable::no);
  CHECK(p.work.stat("f")->mode == 0755);
  CHECK(p.work.stat("f")->mtime_ns == 1'500'000'000);
}

TEST_CASE("rights that a file is given while its next content is written stay") {
  const Place p;
  p.work.write_atomic("f", "old", 0644);
  PendingFile file = p.work.begin_write("f", {});
  file.finish(Durable::yes);
  p.work.set_mode("f", 0600);
  file.replace(Durable::yes);
  CHECK(p.work.stat("f")->mode == 0600);
}

TEST_CASE("bytes are added at the end of a file, which is made where there is none") {
  const Place p;
  p.work.append("log/a", "one", {.new_mode = 0600});
  p.work.append("log/a", "two", {});
  CHECK(p.work.read("log/a", 9) == "onetwo");
  CHECK(p.work.stat("log/a")->mode == 0600);
  std::filesystem::create_symlink("a", p.host.file("work/log/link"));
  CHECK(::mkfifo(p.host.file("work/pipe").c_str(), 0666) == 0);
  for (const char* path : {"log", "log/link", "pipe", "."}) {
    CAPTURE(path);
    CHECK(reason_of_change([&] { p.work.append(path, "x", {}); }) == "not_a_file");
  }
}

TEST_CASE("what is moved keeps what is at its new place, unless it is to replace that") {
  const Place p;
  p.work.write_atomic("a", "1");
  p.work.write_atomic("b", "2");
  p.work.write_atomic("d/x", "3");
  const auto move = [&](const char* from, const char* to, Existing existing = Existing::keep) {
    return p.work.rename(from, to, existing);
  };
  CHECK_FALSE(move("none", "new/deep"));
  CHECK_FALSE(p.work.stat("new"));
  CHECK(reason_of_change([&] { move("a", "b"); }) == "path_exists");
  CHECK(reason_of_change([&] { move("a", "d", Existing::replace); }) == "path_exists");
  CHECK(reason_of_change([&] { move("d", "b", Existing::replace); }) == "path_exists");
  CHECK(reason_of_change([&] { move("d", "d/in/itself"); }) == "invalid_path");
  CHECK(reason_of_change([&] { move(".", "x"); }) == "invalid_path");
  CHECK(move("a", "b", Existing::replace));
  CHECK(p.work.read("b", 9) == "1");
  CHECK(move("d", "new/e"));
  CHECK(p.work.read("new/e/x", 9) == "3");
  p.work.make_folder("full", 0755);
  CHECK(reason_of_change([&] { move("full", "new", Existing::replace); }) == "path_exists");
}

TEST_CASE("nothing is moved, made or changed outside, through whatever link") {
  const Place p;
  replace_file(p.host.file("outside/file"), "secret", 0600);
  std::filesystem::create_symlink("../outside", p.host.file("work/out"));
  std::filesystem::create_symlink("../outside/file", p.host.file("work/file"));
  p.work.write_atomic("a", "1");
  const std::vector<std::function<void()>> attempts = {
      [&] { p.work.rename("a", "out/a", Existing::keep); },
      [&] { p.work.rename("out/file", "a2", Existing::keep); },
      [&] { p.work.make_folder("out/new", 0755); },
      [&] { p.work.set_mode("out/file", 0777); },
      [&] { p.work.append("out/file", "x", {}); },
      [&] { p.work.make_link("out/link", "a"); },
      [&] { p.work.make_name("mine", "out/file"); },
      [&] { p.work.open_itself("out/file"); },
      [&] { p.work.entry("out/file"); },
      [&] { p.work.below("out"); },
      [&] { p.work.remove_file("out/file"); }};
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    CAPTURE(i);
    CHECK(reason_of_change(attempts[i]) == "path_escapes");
  }
  CHECK(reason_of_change([&] { p.work.set_mode("file", 0777); }) == "not_a_file");
  CHECK(reason_of_change([&] { p.work.make_name("mine", "file"); }) == "not_a_file");
  CHECK(p.count("outside") == 1);
  CHECK((std::filesystem::status(p.host.file("outside/file")).permissions() ==
         std::filesystem::perms(0600)));
  CHECK(p.work.entry("file")->target == "../outside/file");
  CHECK(p.work.remove_file("out") == Removed::removed);
  CHECK(p.work.remove_file("out") == Removed::nothing);
  p.work.make_folder("folder", 0755);
  CHECK(p.work.remove_file("folder") == Removed::is_folder);
}

TEST_CASE("a folder is made with those above it, and left as it is where it is there") {
  const Place p;
  CHECK(p.work.make_folder("a/b/c", 0700));
  CHECK(p.work.stat("a/b/c")->mode == 0700);
  CHECK_FALSE(p.work.make_folder("a/b/c", 0777));
  CHECK(p.work.stat("a/b/c")->mode == 0700);
  CHECK_FALSE(p.work.make_folder(".", 0777));
  p.work.write_atomic("f", "");
  CHECK(reason_of_change([&] { p.work.make_folder("f", 0755); }) == "path_exists");
  CHECK(p.work.set_mode("a/b", 0711));
  CHECK(p.work.stat("a/b")->mode == 0711);
  CHECK_FALSE(p.work.set_mode("none", 0711));
}

}  // namespace cellar::sys
