#include "audit/trail.h"

#include <doctest/doctest.h>

#include <functional>

#include "audit/files.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::audit {
namespace {

const WallTime kThen = from_unix_ms(1'700'000'000'000);

Entry entry_of(int number) {
  return {.at = kThen + std::chrono::seconds(number),
          .key_id = "key_1",
          .owner = "dev",
          .via = "key",
          .operation = "DELETE /api/v1/cells/{id}",
          .target = "dev--" + std::to_string(number),
          .from = "127.0.0.1",
          .status = 204,
          .code = {},
          .request_id = "req_" + std::to_string(number),
          .left_out = 0};
}

struct TrailFixture {
  testing::TempDir root;
  std::string dir = root.file("audit");
  // Two lines a file.
  Trail::Options options{.file_bytes_max = 400};

  void write(int from, int count) {
    Trail trail(dir, options);
    for (int number = from; number < from + count; ++number) trail.append({entry_of(number)});
  }
  // Changes the text of the file that begins with `first`.
  void change(Seq first, const std::function<void(std::string&)>& edit) {
    std::string text = read_log_file(dir, first);
    edit(text);
    sys::replace_file(file_of(dir, first), text);
  }
  bool has_problem(const std::string& word) {
    const std::string problem = verify(dir).problem;
    CAPTURE(problem);
    return !problem.empty() && problem.find(word) != problem.npos;
  }
};

}  // namespace

TEST_CASE("a log goes on over files and openings, and is read from any place") {
  TrailFixture fixture;
  fixture.write(1, 4);
  fixture.write(5, 4);
  CHECK(first_seqs(fixture.dir).size() > 2);
  const Verdict verdict = verify(fixture.dir);
  CHECK(verdict.problem.empty());
  CHECK(verdict.first == 1);
  CHECK(verdict.last.seq == 8);
  const Trail trail(fixture.dir, fixture.options);
  const auto page = trail.read(3, 2);
  REQUIRE(page.lines.size() == 2);
  CHECK(page.more);
  CHECK(page.last == 5);
  CHECK(read_line_head(page.lines[0])->seq == 4);
  CHECK_FALSE(trail.read(5, 3).more);
  CHECK(trail.read(8, 3).lines.empty());
}

TEST_CASE("each byte of each line that is changed is found") {
  TrailFixture fixture;
  fixture.write(1, 4);
  for (const Seq first : first_seqs(fixture.dir)) {
    const std::string text = read_log_file(fixture.dir, first);
    for (std::size_t at = 0; at < text.size(); ++at) {
      CAPTURE(at);
      fixture.change(first, [at](std::string& all) { all[at] = all[at] == 'x' ? 'y' : 'x'; });
      CHECK_FALSE(verify(fixture.dir).problem.empty());
      sys::replace_file(file_of(fixture.dir, first), text);
    }
  }
  CHECK(verify(fixture.dir).problem.empty());
}

TEST_CASE("a line that is removed, exchanged or cut off is found where it was") {
  TrailFixture fixture;
  fixture.write(1, 4);
  const auto seqs = first_seqs(fixture.dir);
  REQUIRE(seqs.size() == 2);
  const std::string first = read_log_file(fixture.dir, 1);
  const std::string second = read_log_file(fixture.dir, 3);
  const std::size_t end = first.find('\n') + 1;
  fixture.change(1, [&](std::string& all) { all = all.substr(end); });
  CHECK(fixture.has_problem(file_of(fixture.dir, 1) + ":1: is line 2, where 1"));
  fixture.change(1, [&](std::string& all) { all = first.substr(end) + first.substr(0, end); });
  CHECK(fixture.has_problem(":1: is line 2"));
  fixture.change(1, [&](std::string& all) { all = first.substr(0, end); });
  CHECK(fixture.has_problem("begins with line 3, where 2"));
  fixture.change(1, [&](std::string& all) { all = first; });
  fixture.change(3, [](std::string& all) { all = all.substr(0, all.find('\n') + 1); });
  CHECK(fixture.has_problem("cut off behind " + file_of(fixture.dir, 3) + ":1"));
  sys::remove_file(file_of(fixture.dir, 3));
  CHECK(fixture.has_problem("had 4"));
  sys::replace_file(file_of(fixture.dir, 3), second);
  CHECK(verify(fixture.dir).problem.empty());
  sys::remove_file(file_of(fixture.dir, 1));
  CHECK(fixture.has_problem("begins with line 3, where 1"));
}

TEST_CASE("a log that was cut off shows it for ever, whatever is written behind") {
  TrailFixture fixture;
  fixture.write(1, 4);
  fixture.change(3, [](std::string& all) { all = all.substr(0, all.find('\n') + 1); });
  fixture.write(5, 2);
  CHECK(fixture.has_problem("begins with line 5, where 4"));
}

TEST_CASE("a crash within a line is no problem, and within the head's making neither") {
  TrailFixture fixture;
  fixture.write(1, 1);
  const std::string head = *sys::read_file(fixture.dir + "/head.json");
  fixture.write(2, 1);
  sys::replace_file(fixture.dir + "/head.json", head);
  fixture.change(1, [](std::string& all) { all += "{\"seq\":3"; });
  CHECK(verify(fixture.dir).problem.empty());
  CHECK(verify(fixture.dir).notes.size() == 1);
  fixture.write(3, 1);
  CHECK(verify(fixture.dir).problem.empty());
  CHECK(verify(fixture.dir).last.seq == 3);
}

TEST_CASE("a chain that was made anew is found by a hash that was kept elsewhere") {
  TrailFixture fixture;
  fixture.write(1, 3);
  const Link kept = verify(fixture.dir).last;
  fixture.write(4, 1);
  CHECK(verify(fixture.dir, kept).problem.empty());
  sys::remove_tree(fixture.dir);
  fixture.write(2, 4);
  CHECK(verify(fixture.dir).problem.empty());
  CHECK(verify(fixture.dir, kept).problem.find("expected") != std::string::npos);
  const testing::TempDir empty;
  CHECK(verify(empty.path(), kept).problem.find("empty") != std::string::npos);
  CHECK_FALSE(verify(fixture.dir, Link{99, kept.hash}).problem.empty());
}

TEST_CASE("retention removes whole files, and the rest is still a chain") {
  TrailFixture fixture;
  const Trail::Limits limits{.retention = std::chrono::seconds(100)};
  fixture.write(1, 6);
  Trail trail(fixture.dir, fixture.options);
  trail.trim(kThen + std::chrono::seconds(101), limits);
  CHECK(first_seqs(fixture.dir).front() == 1);
  trail.trim(kThen + std::chrono::seconds(103), limits);
  CHECK(first_seqs(fixture.dir).front() == 3);
  trail.trim(kThen + std::chrono::hours(1), limits);
  CHECK(first_seqs(fixture.dir).size() == 1);  // The one that is written stays.
  trail.append({entry_of(7)});
  const Verdict verdict = verify(fixture.dir);
  CHECK(verdict.problem.empty());
  CHECK(verdict.first == 5);
  CHECK(verdict.last.seq == 7);
}

TEST_CASE("so does a limit in bytes, however young the files are") {
  TrailFixture fixture;
  fixture.write(1, 6);
  Trail trail(fixture.dir, fixture.options);
  std::uint64_t bytes = 0;
  for (const Seq seq : first_seqs(fixture.dir)) bytes += size_of_log_file(fixture.dir, seq);
  trail.trim(kThen, {.bytes_max = bytes});
  CHECK(first_seqs(fixture.dir).front() == 1);
  trail.trim(kThen, {.bytes_max = bytes - 1});
  CHECK(first_seqs(fixture.dir).front() == 3);
  trail.trim(kThen, {.bytes_max = 1});
  CHECK(first_seqs(fixture.dir).size() == 1);
  CHECK(verify(fixture.dir).problem.empty());
}

}  // namespace cellar::audit
