#include "cell/process_files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <random>

#include "sys/file.h"
#include "sys/splice.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

using TakenState = ProcessFiles::Taken::State;
using Stream = OutputLog::Stream;

// All of the output with a letter before each change of streams: "o" or "e".
std::string told(const OutputLog& log) {
  std::string text;
  std::uint64_t place = log.first();
  while (const auto piece = log.read(place)) {
    text += piece->stream == Stream::out ? "o" : "e";
    text += piece->bytes;
    place = piece->end();
  }
  return text;
}

struct Source {
  sys::Pipe pipe = *sys::make_splice_pipe(1 << 16);
  void put(std::string_view bytes) { sys::write_all(pipe.write_end.get(), bytes, "pipe"); }
};

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
