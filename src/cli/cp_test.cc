#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "cli/file_archive.h"
#include "cli/local_file.h"
#include "cli/test_call.h"
#include "sys/directory.h"
#include "sys/tar_folder.h"
#include "testing/temp_dir.h"

namespace cellar::cli {
namespace {

unsigned mode_of(const std::filesystem::path& path) {
  return static_cast<unsigned>(std::filesystem::status(path).permissions());
}

}  // namespace

TEST_CASE("a folder is copied into a cell, with the right to run its programs") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, R"({"ok":true,"exit_code":0})"); });
  testing::TempDir dir;
  sys::make_dirs(dir.file("src/sub dir"));
  sys::replace_file(dir.file("src/a"), "A");
  sys::replace_file(dir.file("src/sub dir/run"), "");
  ::chmod(dir.file("src/sub dir/run").c_str(), 0755);
  sys::make_dirs(dir.file("src/empty"));
  std::filesystem::create_symlink("a", dir.path() / "src/link");
  REQUIRE(::mkfifo(dir.file("src/pipe").c_str(), 0600) == 0);
  const Result result = call(daemon.url(), {"-o", "json", "cp", dir.file("src"), "c:/to/"});
  CHECK(result.exit_code == 0);
  CHECK(result.out == "{\"files\":3}\n");
  CHECK(result.err == "cellar: left out, no file or folder: " + dir.file("src/pipe") + "\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 1);
  CHECK(seen.at(0).method == "PUT");
  CHECK(seen.at(0).target == "/api/v1/cells/c/files/to?tar=1");
  sys::make_dirs(dir.file("got"));
  sys::TarUnpacker unpacker(sys::BeneathDir(dir.file("got")), {});
  unpacker.feed(seen.at(0).body);
  unpacker.finish(sys::Durable::no);
  CHECK(sys::read_file(dir.file("got/a")) == "A");
  CHECK(::access(dir.file("got/sub dir/run").c_str(), X_OK) == 0);
  CHECK(std::filesystem::is_directory(dir.file("got/empty")));
  CHECK(std::filesystem::read_symlink(dir.file("got/link")) == "a");
}

TEST_CASE("a file is copied to a name, or into a folder that only the daemon knows of") {
  FakeDaemon daemon([](const Seen& seen) {
    return seen.target.ends_with("/files/dir")
               ? json_reply(400, R"({"error":"x","code":"not_a_file"})")
               : json_reply(200, "{\"ok\":true}");
  });
  testing::TempDir dir;
  const std::string large(3 << 20, 'x');
  sys::replace_file(dir.file("f"), large);
  for (const std::string to : {"c:/name", "c:/dir", "c:/", "c:d/"}) {
    CHECK(call(daemon.url(), {"cp", dir.file("f"), to}).exit_code == 0);
  }
  std::vector<std::string> targets;
  for (const Seen& seen : daemon.seen()) {
    targets.push_back(seen.target.substr(std::string("/api/v1/cells/c/files/").size()));
    CHECK(seen.body == large);
  }
  CHECK(targets == std::vector<std::string>{"name", "dir", "dir/f", "f", "d/f"});
  CHECK(call(daemon.url(), {"cp", dir.file("none"), "c:/x"}).exit_code == 3);
  REQUIRE(::mkfifo(dir.file("pipe").c_str(), 0600) == 0);
  CHECK(call(daemon.url(), {"cp", dir.file("pipe"), "c:/x"}).exit_code == 1);
  CHECK(call(daemon.url(), {"cp", "a", "b"}).exit_code == 2);
  CHECK(call(daemon.url(), {"cp", "c:/a", "d:/b"}).exit_code == 2);
  CHECK(call(daemon.url(), {"cp", "./c:a", "b"}).exit_code == 2);
}

TEST_CASE("files and folders are copied out of a cell") {
  sys::TarEntry run;
  run.path = "s/run";
  run.mode = 0755;
  sys::TarEntry inside;
  inside.path = "inside";
  inside.kind = sys::TarEntry::Kind::link;
  inside.target = "s/run";
  sys::TarEntry outside = inside;
  outside.path = "outside";
  outside.target = "/etc/passwd";
  const std::string archive =
      sys::tar_header(run) + sys::tar_header(inside) + sys::tar_header(outside) + sys::tar_end();
  FakeDaemon daemon([&](const Seen& seen) {
    if (seen.target.ends_with("/d?tar=1")) return reply(200, "application/x-tar", archive);
    if (seen.target.ends_with("/files/d")) {
      return json_reply(400, R"({"error":"x","code":"not_a_file"})");
    }
    if (seen.target.ends_with("/f?stat=1")) {
      return json_reply(200, R"({"type":"file","mode":"0755"})");
    }
    if (seen.target.ends_with("?stat=1")) return json_reply(200, R"({"mode":"0644"})");
    if (seen.target.ends_with("/empty")) return reply(200, "application/octet-stream", "");
    return reply(200, "application/octet-stream", std::string("\0\xff", 2));
  });
  testing::TempDir dir;
  const Result result = call(daemon.url(), {"cp", "-r", "c:/d", dir.file("out")});
  CHECK(result.exit_code == 0);
  CHECK(result.err == "cellar: left out, no file or folder: d/outside\n");
  CHECK(::access(dir.file("out/s/run").c_str(), X_OK) == 0);
  CHECK(std::filesystem::read_symlink(dir.file("out/inside")) == "s/run");
  CHECK_FALSE(std::filesystem::is_symlink(dir.file("out/outside")));
  CHECK(call(daemon.url(), {"cp", "c:/x/f", dir.path().string()}).exit_code == 0);
  CHECK(sys::read_file(dir.file("f")) == std::string("\0\xff", 2));
  CHECK(::access(dir.file("f").c_str(), X_OK) == 0);
  CHECK(call(daemon.url(), {"cp", "c:/empty", dir.file("e")}).exit_code == 0);
  CHECK(sys::read_file(dir.file("e")) == "");
}

TEST_CASE("an archive that leads out of the folder, or has no end, is refused") {
  for (const std::string path : {"../evil", "/etc/evil", "d/../../evil"}) {
    sys::TarEntry evil;
    evil.path = path;
    const std::string archive = sys::tar_header(evil) + sys::tar_end();
    FakeDaemon daemon([&](const Seen&) { return reply(200, "application/x-tar", archive); });
    testing::TempDir dir;
    CHECK(call(daemon.url(), {"cp", "c:/", dir.file("out")}).exit_code == 1);
    CHECK_FALSE(sys::exists(dir.file("evil")));
  }
  FakeDaemon daemon([](const Seen&) { return reply(200, "application/x-tar", "cut off"); });
  testing::TempDir dir;
  CHECK(call(daemon.url(), {"cp", "c:/", dir.file("out")}).exit_code == 1);
}

TEST_CASE("a copy that breaks off leaves the file that was there, and nothing beside it") {
  bool is_torn = true;
  FakeDaemon daemon([&](const Seen& seen) -> std::string {
    if (seen.target.ends_with("?stat=1"))
      return json_reply(200, R"({"type":"file","mode":"0644"})");
    const std::string whole = reply(200, "application/octet-stream", "new bytes");
    return is_torn ? whole.substr(0, whole.size() - 3) : whole;
  });
  testing::TempDir dir;
  sys::replace_file(dir.file("there"), "old", 0600);
  std::filesystem::create_symlink("there", dir.path() / "link");
  for (const char* name : {"there", "link", "none"}) {
    const Result torn = call(daemon.url(), {"cp", "c:/f", dir.file(name)});
    CHECK(torn.exit_code == 4);
  }
  CHECK(sys::read_file(dir.file("there")) == "old");
  CHECK(sys::files_in(dir.path()) == std::vector<std::string>{"there"});
  is_torn = false;
  CHECK(call(daemon.url(), {"cp", "c:/f", dir.file("link")}).exit_code == 0);
  CHECK(std::filesystem::is_symlink(dir.path() / "link"));
  CHECK(sys::read_file(dir.file("there")) == "new bytes");
  CHECK((std::filesystem::status(dir.file("there")).permissions() == std::filesystem::perms{0600}));
  CHECK(call(daemon.url(), {"cp", "c:/f", dir.file("none")}).exit_code == 0);
  CHECK(sys::read_file(dir.file("none")) == "new bytes");
}

TEST_CASE("what comes into the place of a file is nobody else's to read, and its name short") {
  testing::TempDir dir;
  std::string beside;
  FakeDaemon daemon([&](const Seen& seen) -> std::string {
    if (!seen.target.ends_with("?stat=1")) return reply(200, "application/octet-stream", "bytes");
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(".cellar-")) beside = fmt::format("{:o}", mode_of(entry.path()));
    }
    return json_reply(200, "{}");
  });
  const mode_t mask = ::umask(022);
  const std::string longest(255, 'n');
  CHECK(call(daemon.url(), {"cp", "c:/f", dir.file(longest)}).exit_code == 0);
  CHECK(beside == "644");
  REQUIRE(::chmod(dir.file(longest).c_str(), 0640) == 0);
  CHECK(call(daemon.url(), {"cp", "c:/f", dir.file(longest)}).exit_code == 0);
  ::umask(mask);
  CHECK(beside == "600");
  CHECK(mode_of(dir.file(longest)) == 0640);
  CHECK(sys::files_in(dir.path()) == std::vector<std::string>{longest});
}

TEST_CASE("a copy that a signal ends leaves the file that was there, and nothing beside it") {
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) {
    CAPTURE(signal);
    testing::TempDir dir;
    sys::replace_file(dir.file("there"), "old");
    sys::Pipe ready = sys::make_pipe();
    const pid_t child = ::fork();
    REQUIRE(child != -1);
    if (child == 0) {
      (void)::signal(signal, SIG_DFL);  // The test program handles some.
      LocalFile file(dir.file("there"));
      file.write("new");
      sys::write_all(ready.write_end.get(), "!", "ready");
      for (;;) ::pause();
    }
    char said = 0;
    REQUIRE(::read(ready.read_end.get(), &said, 1) == 1);
    CHECK(sys::files_in(dir.path()).size() == 2);
    ::kill(child, signal);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == signal));
    CHECK(sys::files_in(dir.path()) == std::vector<std::string>{"there"});
    CHECK(sys::read_file(dir.file("there")) == "old");
  }
}

TEST_CASE("a file with several names keeps them, and one that may not be written its bytes") {
  FakeDaemon daemon([](const Seen& seen) {
    return seen.target.ends_with("?stat=1") ? json_reply(200, "{}")
                                            : reply(200, "application/octet-stream", "new");
  });
  testing::TempDir dir;
  sys::replace_file(dir.file("one"), "old and longer");
  std::filesystem::create_hard_link(dir.file("one"), dir.file("other"));
  CHECK(call(daemon.url(), {"cp", "c:/f", dir.file("one")}).exit_code == 0);
  CHECK(sys::read_file(dir.file("other")) == "new");
  sys::replace_file(dir.file("fixed"), "old", 0444);
  constexpr uid_t kNobody = 65'534;
  const bool is_root = ::geteuid() == 0;  // Who may write everything.
  if (is_root) {
    REQUIRE(::chown(dir.path().c_str(), kNobody, kNobody) == 0);
    REQUIRE(::chown(dir.file("fixed").c_str(), kNobody, kNobody) == 0);
    REQUIRE(::seteuid(kNobody) == 0);
  }
  const Result result = call(daemon.url(), {"cp", "c:/f", dir.file("fixed")});
  if (is_root) REQUIRE(::seteuid(0) == 0);
  CHECK(result.exit_code == 1);
  CHECK(result.err.find("Permission denied") != std::string::npos);
  CHECK(sys::read_file(dir.file("fixed")) == "old");
}

TEST_CASE("a copy into what is no file is written as it comes") {
  FakeDaemon daemon([](const Seen& seen) {
    return seen.target.ends_with("?stat=1") ? json_reply(200, "{}")
                                            : reply(200, "application/octet-stream", "bytes");
  });
  CHECK(call(daemon.url(), {"cp", "c:/f", "/dev/null"}).exit_code == 0);
  CHECK(std::filesystem::is_character_file("/dev/null"));
  const sys::Fd file = file_in_memory();  // As a shell gives one as /dev/stdout.
  const std::string name = "/proc/self/fd/" + std::to_string(file.get());
  CHECK(call(daemon.url(), {"cp", "c:/f", name}).exit_code == 0);
  CHECK(content_of(file) == "bytes");
}

TEST_CASE("a file is an archive that holds it alone, and one that shrinks is refused") {
  testing::TempDir dir;
  const std::string bytes((3 << 18) + 7, 'x');
  for (const std::string& content : {std::string(), bytes}) {
    sys::replace_file(dir.file("f"), content);
    FileArchive archive(dir.file("f"), "name", 0755);
    sys::make_dirs(dir.file("got"));
    sys::TarUnpacker unpacker(sys::BeneathDir(dir.file("got")), {});
    for (std::string piece = archive.next(); !piece.empty(); piece = archive.next()) {
      unpacker.feed(piece);
    }
    unpacker.finish(sys::Durable::no);
    CHECK(sys::read_file(dir.file("got/name")) == content);
    CHECK(::access(dir.file("got/name").c_str(), X_OK) == 0);
    CHECK(archive.count().bytes == content.size());
  }
  FileArchive archive(dir.file("f"), "name", 0644);
  archive.next();
  std::filesystem::resize_file(dir.file("f"), 0);
  CHECK_THROWS_AS(archive.next(), Error);
}

}  // namespace cellar::cli
