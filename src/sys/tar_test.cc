#include "sys/tar.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "sys/file.h"
#include "sys/tar_folder.h"
#include "testing/temp_dir.h"

namespace cellar::sys {
namespace {

TarEntry entry_of(std::string path, TarEntry::Kind kind = TarEntry::Kind::file,
                  std::string target = {}) {
  TarEntry entry;
  entry.path = std::move(path);
  entry.kind = kind;
  entry.target = std::move(target);
  return entry;
}

std::string file_entry(const std::string& path, const std::string& bytes) {
  TarEntry entry = entry_of(path);
  entry.size_bytes = bytes.size();
  return tar_header(entry) + bytes + tar_padding(bytes.size());
}

// A folder to unpack in, with another one beside it.
struct Target {
  testing::TempDir host;
  BeneathDir folder;

  Target() : folder(make()) {}
  std::string make() const {
    make_dirs(host.file("in"), 0755);
    make_dirs(host.file("outside"), 0755);
    replace_file(host.file("outside/file"), "secret");
    return host.file("in");
  }
  // The reason of the Error, "" for none.
  std::string unpack(const std::string& archive, std::size_t piece = 1 << 20,
                     TarUnpacker::Options options = {}) const {
    try {
      TarUnpacker unpacker(folder.below("."), std::move(options));
      for (std::size_t at = 0; at < archive.size(); at += piece) {
        unpacker.feed(std::string_view(archive).substr(at, piece));
      }
      unpacker.finish(Durable::no);
      return "";
    } catch (const Error& error) {
      return error.reason();
    }
  }
  bool outside_is_untouched() const {
    return read_file(host.file("outside/file")) == "secret" &&
           std::distance(std::filesystem::directory_iterator(host.file("outside")), {}) == 1;
  }
};

std::string pack(const BeneathDir& folder, std::vector<std::string>* left_out = nullptr) {
  TarPacker packer(folder.below("."), [&](const std::string& path) {
    if (left_out != nullptr) left_out->push_back(path);
  });
  std::string archive;
  for (std::string piece = packer.next(); !piece.empty(); piece = packer.next()) archive += piece;
  return archive;
}

// An archive with nothing where its headers have times, and with that their sums: a folder's time
// is that of its unpacking.
std::string without_times(std::string archive) {
  constexpr std::size_t kBlock = 512;
  std::size_t at = 0;
  while (at + kBlock <= archive.size() && archive[at] != 0) {
    const std::size_t size = std::stoull(archive.substr(at + 124, 12), nullptr, 8);
    archive.replace(at + 136, 20, std::string(20, ' '));
    at += kBlock * (1 + (size + kBlock - 1) / kBlock);
  }
  return archive;
}

}  // namespace

TEST_CASE("a folder that was packed is unpacked as it was, whatever the size of the pieces") {
  const Target from;
  const std::string long_path = std::string(120, 'l') + "/" + std::string(200, 'n') + " ü%\n";
  from.folder.write_atomic("run", "#!/bin/sh\n", 0755);
  from.folder.write_atomic(long_path, std::string(1500, 'x'), 0600);
  from.folder.write_atomic("empty", "");
  from.folder.make_folder("folder/inner", 0750);
  from.folder.make_link("link", std::string(150, 't'));
  REQUIRE(::mkfifo(from.host.file("in/pipe").c_str(), 0666) == 0);
  REQUIRE(::chmod(from.host.file("in/run").c_str(), 06755) == 0);
  std::vector<std::string> left_out;
  const std::string archive = pack(from.folder, &left_out);
  CHECK(archive.find("0006755") == archive.npos);
  CHECK(left_out == std::vector<std::string>{"pipe"});
  for (const std::size_t piece : {std::size_t{1}, std::size_t{511}, archive.size()}) {
    CAPTURE(piece);
    const Target to;
    REQUIRE(to.unpack(archive, piece) == "");
    CHECK(to.folder.read(long_path, 9999) == std::string(1500, 'x'));
    CHECK(to.folder.stat("run")->mode == 0755);
    CHECK(to.folder.stat(long_path)->mode == 0600);
    CHECK(to.folder.stat("empty")->size_bytes == 0);
    CHECK(to.folder.stat("folder/inner")->mode == 0750);
    CHECK(to.folder.entry("link")->target == std::string(150, 't'));
    CHECK(to.folder.stat("run")->mtime_ns / 1'000'000'000 ==
          from.folder.stat("run")->mtime_ns / 1'000'000'000);
    CHECK(without_times(pack(to.folder)) == without_times(archive));
  }
}

TEST_CASE("an archive that ends too early, anywhere, is refused") {
  const std::string archive = file_entry("a", "bytes") + file_entry("b/c", "") + tar_end();
  for (std::size_t size = 0; size < archive.size() - kTarBlockBytes; size += 64) {
    CAPTURE(size);
    const Target to;
    CHECK(to.unpack(archive.substr(0, size)) == "invalid_archive");
  }
  for (const std::string& none : {std::string(600, 'x'), "\x1f\x8b" + std::string(600, '\0'),
                                  file_entry("a", "").replace(148, 6, "000000")}) {
    const Target to;
    CHECK(to.unpack(none) == "invalid_archive");
  }
}

TEST_CASE("no entry leads out of the folder: by its name, a link, one more name or a device") {
  using Kind = TarEntry::Kind;
  const auto link = [](const char* path, const char* target) {
    return tar_header(entry_of(path, Kind::link, target));
  };
  const auto name = [](const char* path, const char* target) {
    return tar_header(entry_of(path, Kind::name, target));
  };
  const std::string hostile[] = {
      file_entry("../outside/file", "x"),
      file_entry("/tmp/cellar-tar-test", "x"),
      file_entry("a/../../outside/file", "x"),
      file_entry(std::string("a\0b", 3) + std::string(120, 'c'), "x"),
      link("out", "../outside") + file_entry("out/file", "x"),
      link("out", "../outside") + tar_header(entry_of("out/new", Kind::folder)),
      link("out", "../outside") + link("out/new", "x"),
      link("out", "../outside") + name("mine", "out/file"),
      link("root", "/") + file_entry("root/tmp/cellar-tar-test", "x"),
      link("self", "/proc/self/cwd") + file_entry("self/x", "x"),
      link("a", "../outside/file") + name("b", "a"),
      link("none", "nowhere") + file_entry("none/x", "x"),
      name("mine", "../outside/file"),
      name("mine", "/etc/passwd"),
      name("mine", "absent"),
      tar_header(entry_of("device", Kind::special)),
      file_entry("f", "") + file_entry("f/x", ""),
      tar_header(entry_of("d/", Kind::folder)) + file_entry("d", "x")};
  for (std::size_t i = 0; i < std::size(hostile); ++i) {
    CAPTURE(i);
    const Target to;
    CHECK(to.unpack(hostile[i] + tar_end()) == "unsafe_archive");
    CHECK(to.outside_is_untouched());
    CHECK_FALSE(exists("/tmp/cellar-tar-test"));
  }
}

TEST_CASE("a link to the outside is replaced by a file of its name, and may be left out") {
  const Target to;
  const std::string archive = tar_header(entry_of("x", TarEntry::Kind::link, "../outside/file")) +
                              file_entry("x", "mine") +
                              tar_header(entry_of("y", TarEntry::Kind::name, "x")) +
                              tar_header(entry_of("z", TarEntry::Kind::link, "a/../x")) + tar_end();
  CHECK(to.unpack(archive) == "");
  CHECK(to.unpack(archive) == "");  // Over what it made before.
  CHECK(to.folder.read("y", 9) == "mine");
  CHECK(to.outside_is_untouched());
  std::vector<std::string> left_out;
  TarUnpacker::Options careful;
  careful.links = TarUnpacker::Links::inside;
  careful.on_left_out = [&](const std::string& path) { left_out.push_back(path); };
  CHECK(to.unpack(archive, 100, careful) == "");
  CHECK(left_out == std::vector<std::string>{"x", "z"});
}

TEST_CASE("a link that stays inside by its words, but not through other links, is left out") {
  const auto link = [](const char* path, const char* target) {
    return tar_header(entry_of(path, TarEntry::Kind::link, target));
  };
  const Target to;
  std::vector<std::string> left_out;
  TarUnpacker::Options careful;
  careful.links = TarUnpacker::Links::inside;
  careful.on_left_out = [&](const std::string& path) { left_out.push_back(path); };
  const std::string archive = link("q", ".") + link("q/q/q/l", "../../../outside/file") +
                              link("q/a/l", "../../outside/file") + link("a/q", "../a/b") +
                              link("a/b/c/d", "../../x") + link("m", "q/../../outside/file") +
                              link("a/up", "../q/../outside/file") + tar_end();
  CHECK(to.unpack(archive, 1 << 20, careful) == "");
  CHECK(left_out == std::vector<std::string>{"q/q/q/l", "q/a/l", "m", "a/up"});
  CHECK(to.folder.entry("a/q")->target == "../a/b");
  CHECK(to.folder.entry("a/b/c/d")->target == "../../x");
  CHECK_FALSE(to.folder.entry("l"));
}

TEST_CASE("headers without an entry are not kept in memory") {
  constexpr std::size_t kHeaders = 100;
  constexpr std::size_t kValueBytes = 50'000;
  TarReader reader(
      {.begin = [](const TarEntry&) {}, .data = [](std::string_view) {}, .end = [] {}});
  const std::size_t before = ::mallinfo2().uordblks;
  for (std::size_t i = 0; i < kHeaders; ++i) {
    const std::string rest =
        " key" + std::to_string(1000 + i) + "=" + std::string(kValueBytes, 'x');
    const std::string record = std::to_string(rest.size() + 6) + rest + "\n";
    TarEntry header = entry_of("pax", TarEntry::Kind::file);
    header.size_bytes = record.size();
    std::string block = tar_header(header);
    block[156] = 'x';
    constexpr std::string_view kBlank = "        ";
    block.replace(148, kBlank.size(), kBlank);
    std::uint64_t sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    block.replace(148, 7, fmt::format("{:06o}", sum) + std::string(1, '\0'));
    reader.feed(block + record + tar_padding(record.size()));
  }
  const std::size_t after = ::mallinfo2().uordblks;
  CHECK(after < before + kHeaders * kValueBytes / 2);
}

TEST_CASE("an archive has a largest number of entries, and its headers a largest size") {
  const Target to;
  TarUnpacker::Options few;
  few.entries_max = 2;
  const std::string two = file_entry("a", "1") + file_entry("b", "2");
  CHECK(to.unpack(two + tar_end(), 1 << 20, few) == "");
  CHECK(to.unpack(two + file_entry("c", "3") + tar_end(), 1 << 20, few) == "archive_too_large");
  // The folders on the way are some, too.
  CHECK(to.unpack(file_entry("d/e/f", "1") + file_entry("d/e/g", "2") + tar_end(), 1 << 20, few) ==
        "archive_too_large");
  TarEntry huge = entry_of(std::string(TarReader::kHeaderBytesMax, 'x'));
  CHECK(to.unpack(tar_header(huge) + tar_end()) == "invalid_archive");
}

}  // namespace cellar::sys
