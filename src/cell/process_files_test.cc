#include "cell/process_files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "base/error.h"
#include "sys/file.h"
#include "sys/mounts.h"
#include "sys/splice.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

using TakenState = ProcessFiles::Taken::State;
using Stream = OutputLog::Stream;

// All of the output with a letter before each change of streams: "o" or "e".
std::string told(const OutputLog& log) {
  std::string text;
  std::optional<Stream> last;
  std::uint64_t place = log.first();
  while (const auto piece = log.read(place)) {
    if (last != piece->stream) text += piece->stream == Stream::out ? "o" : "e";
    last = piece->stream;
    text += piece->bytes;
    place = piece->end();
  }
  return text;
}

struct Source {
  sys::Pipe pipe = *sys::make_splice_pipe(1 << 16);
  void put(std::string_view bytes) { sys::write_all(pipe.write_end.get(), bytes, "pipe"); }
};

// The descriptor that this process has of a file.
int descriptor_of(const std::string& path) {
  for (int fd = 0; fd < 1024; ++fd) {
    std::error_code none;
    const auto link = "/proc/self/fd/" + std::to_string(fd);
    if (std::filesystem::read_symlink(link, none) == path) return fd;
  }
  return -1;
}

// Makes that descriptor another one, of the same file, that can do less or more.
void reopen(int fd, const std::string& path, int flags) {
  const sys::Fd other = sys::open_file(path, flags);
  ::lseek(other.get(), 0, SEEK_END);
  REQUIRE(::dup2(other.get(), fd) == fd);
}

// What a file takes on its disk.
std::size_t room_of(const std::string& path) {
  struct stat stat{};
  REQUIRE(::stat(path.c_str(), &stat) == 0);
  return static_cast<std::size_t>(stat.st_blocks) * 512;
}

std::string taken_from(ProcessFiles& files, const Source& source, Stream stream) {
  const auto taken = files.take(source.pipe.read_end.get(), stream, nullptr);
  CHECK(taken.stream == stream);
  return taken.bytes;
}

}  // namespace

TEST_CASE("what is known of a process comes back as it was written") {
  testing::TempDir dir;
  ProcessRecord record{.number = 7,
                       .program = 3,
                       .command = "npm \"run\" dev",
                       .pid = 12,
                       .has_terminal = true,
                       .outlives_daemon = true,
                       .joined = {"/a/c7", "/b/c7"},
                       .started_at = from_unix_ms(1000),
                       .times_out_at = from_unix_ms(2000)};
  ProcessFiles(dir.file("7")).create(record);
  ProcessRecord ended{.number = 11, .command = "true", .started_at = from_unix_ms(5)};
  ended.end = ProcessRecord::End{.at = from_unix_ms(6),
                                 .wait_status = 256,
                                 .lost = LostBy::hibernated,
                                 .timed_out = true,
                                 .output_first = 1,
                                 .output_next = 2};
  ProcessFiles(dir.file("11")).create(ended);
  CHECK(find_process_records(dir.path().string()) == std::vector{record, ended});
  CHECK(find_process_records(dir.file("none")).empty());
}

TEST_CASE("what a crash of the machine left is removed, and the rest is found") {
  testing::TempDir dir;
  ProcessFiles(dir.file("2")).create({.number = 2, .command = "true"});
  for (const char* damaged : {"", "{", "{}", R"({"program":-1})"}) {
    sys::make_dirs(dir.file("3"));
    sys::replace_file(dir.file("3/record.json"), damaged);
    CHECK(find_process_records(dir.path().string()).size() == 1);
    CHECK_FALSE(sys::exists(dir.file("3")));
  }
  sys::make_dirs(dir.file("no-number"));
  CHECK(find_process_records(dir.path().string()).size() == 1);
}

TEST_CASE("output is moved to the file, and goes on where another left it") {
  testing::TempDir dir;
  Source out;
  Source err;
  {
    ProcessFiles files(dir.file("1"));
    files.create({.number = 1});
    CHECK(files.take(out.pipe.read_end.get(), Stream::out, nullptr).state == TakenState::none_now);
    out.put("abc");
    CHECK(files.take(out.pipe.read_end.get(), Stream::out, nullptr).bytes == "abc");
    err.put("X");
    CHECK(files.take(err.pipe.read_end.get(), Stream::err, nullptr).bytes == "X");
    // Noted, and then killed before anything was moved.
    CHECK(files.take(out.pipe.read_end.get(), Stream::out, nullptr).state == TakenState::none_now);
  }
  ProcessFiles next(dir.file("1"));
  next.open();
  err.put("Y");
  CHECK(next.take(err.pipe.read_end.get(), Stream::err, nullptr).bytes == "Y");
  out.put("d");
  CHECK(next.take(out.pipe.read_end.get(), Stream::out, nullptr).bytes == "d");
  CHECK(told(next.load()) == "oabceXYod");
  out.pipe.write_end.reset();
  CHECK(next.take(out.pipe.read_end.get(), Stream::out, nullptr).state == TakenState::ended);
}

TEST_CASE("a terminal's output comes by its pipe, also what was left in there") {
  testing::TempDir dir;
  Source terminal;
  const sys::Pipe through = *sys::make_splice_pipe(1 << 16);
  sys::write_all(through.write_end.get(), "left ", "pipe");
  ProcessFiles files(dir.file("1"));
  files.create({.number = 1});
  terminal.put("more");
  std::string all;
  for (int i = 0; i < 2; ++i) {
    all += files.take(terminal.pipe.read_end.get(), Stream::out, &through).bytes;
  }
  CHECK(all == "left more");
  CHECK(files.take(terminal.pipe.read_end.get(), Stream::out, &through).state ==
        TakenState::none_now);
  terminal.pipe.write_end.reset();
  CHECK(files.take(terminal.pipe.read_end.get(), Stream::out, &through).state == TakenState::ended);
}

TEST_CASE("old output and old changes of streams are given back") {
  testing::TempDir dir;
  ProcessFiles files(dir.file("1"));
  files.create({.number = 1});
  Source out;
  const std::string piece(60'000, 'a');
  std::uint64_t written = 0;
  for (int i = 0; i < 80; ++i) {
    out.put(piece);
    written += files.take(out.pipe.read_end.get(), Stream::out, nullptr).bytes.size();
  }
  CHECK(written == 80 * piece.size());
  OutputLog log = files.load();
  CHECK(log.next() == written);
  CHECK(log.size() >= ProcessFiles::kOutputKeptBytes);
  CHECK(log.size() <= 2 * ProcessFiles::kOutputKeptBytes + piece.size());

  Source err;
  for (std::size_t i = 0; i < 3 * OutputLog::kChangesMax; ++i) {
    Source& source = i % 2 == 0 ? out : err;
    source.put("12");
    files.take(source.pipe.read_end.get(), i % 2 == 0 ? Stream::out : Stream::err, nullptr);
  }
  CHECK(sys::read_file(dir.file("1/streams"))->size() <= (2 * OutputLog::kChangesMax + 1) * 9);
  log = files.load();
  CHECK(log.next() == written + 6 * OutputLog::kChangesMax);
  CHECK(log.size() >= OutputLog::kChangesMax);
  CHECK(told(log).ends_with("e12o12e12"));
}

TEST_CASE("what was moved and could not be read is told with the next call, once") {
  testing::TempDir dir;
  ProcessFiles files(dir.file("1"));
  files.create({.number = 1});
  const int output = descriptor_of(dir.file("1/output"));
  REQUIRE(output >= 0);
  Source out;
  Source err;
  out.put("abc");
  err.put("X");
  reopen(output, dir.file("1/output"), O_WRONLY);
  CHECK_THROWS_AS((void)files.take(out.pipe.read_end.get(), Stream::out, nullptr), Error);
  reopen(output, dir.file("1/output"), O_RDWR);
  const auto taken = files.take(err.pipe.read_end.get(), Stream::err, nullptr);
  CHECK(taken.bytes == "abc");
  CHECK(taken.stream == Stream::out);
  CHECK(taken_from(files, err, Stream::err) == "X");
  CHECK(told(files.load()) == "oabceX");
}

TEST_CASE("what was taken is told, also where what is old cannot be forgotten just then") {
  testing::TempDir dir;
  ProcessFiles files(dir.file("1"));
  files.create({.number = 1});
  Source out;
  const std::string piece(60'000, 'a');
  const auto take_some = [&] {
    for (int i = 0; i < 40; ++i) {
      out.put(piece);
      CHECK(taken_from(files, out, Stream::out) == piece);
    }
  };
  out.put("begin");
  taken_from(files, out, Stream::out);
  const int streams = descriptor_of(dir.file("1/streams"));
  REQUIRE(streams >= 0);
  reopen(streams, dir.file("1/streams"), O_RDONLY);
  take_some();
  reopen(streams, dir.file("1/streams"), O_RDWR);
  take_some();
  CHECK(told(files.load()).ends_with(piece));
  CHECK(room_of(dir.file("1/output")) <= 3 * ProcessFiles::kOutputKeptBytes);
}

TEST_CASE("where no hole can be made in a file, old output is given back all the same") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: mounting needs root");
    return;
  }
  const sys::Fd ramfs = sys::make_mount("ramfs", {}, 0);  // It has no FALLOC_FL_PUNCH_HOLE.
  const std::string folder = "/proc/self/fd/" + std::to_string(ramfs.get()) + "/1";
  ProcessFiles files(folder);
  files.create({.number = 1});
  Source out;
  std::string all;
  const auto take_some = [&](ProcessFiles& taker) {
    for (int i = 0; i < 80; ++i) {
      const std::string piece(60'000, static_cast<char>('a' + i % 26));
      out.put(piece);
      CHECK(taken_from(taker, out, Stream::out) == piece);
      all += piece;
    }
  };
  take_some(files);
  ProcessFiles next(folder);
  next.open();
  take_some(next);

  const OutputLog log = next.load();
  CHECK(log.next() == all.size());
  CHECK(log.size() >= ProcessFiles::kOutputKeptBytes);
  CHECK(told(log) == "o" + all.substr(log.first()));
  CHECK(room_of(folder + "/output") <= 3 * ProcessFiles::kOutputKeptBytes);
}

TEST_CASE("whatever the notes of streams hold, the output is read") {
  testing::TempDir dir;
  ProcessFiles files(dir.file("1"));
  files.create({.number = 1});
  Source out;
  out.put("0123456789");
  files.take(out.pipe.read_end.get(), Stream::out, nullptr);
  const std::uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string notes(random() % 60, '\0');
    for (char& byte : notes) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 12);
    sys::replace_file(dir.file("1/streams"), notes, 0600, sys::Durable::no);
    const OutputLog log = files.load();
    CHECK(log.next() == 10);
  }
}

}  // namespace cellar::cell
