#include "cell/programs.h"

#include <doctest/doctest.h>

#include "sys/directory.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

using Programs = std::vector<Program>;

}  // namespace

TEST_CASE("what runs as the daemon ends is known to the next one, and told once") {
  const testing::TempDir dir;
  {
    ProgramRecords records(dir.file("programs"));
    records.find();
    CHECK(records.last_number() == 0);
    records.add(1, "shell", 7, {"npm", "test"});
    records.add(2, "shell", 8, {"sleep", "9"});
    records.add(3, "agent", 2, {"node"});
    records.remove(2);
  }
  ProgramRecords records(dir.file("programs"));
  records.find();
  CHECK(records.last_number() == 3);
  records.add(4, "shell", 9, {"ls"});
  CHECK(records.take_lost() == Programs{{"shell", 7, "npm test"}, {"agent", 2, "node"}});
  CHECK(records.take_lost().empty());
  CHECK(sys::files_in(dir.file("programs")) == std::vector<std::string>{"4"});
}

TEST_CASE("what is lost stays lost when it ends afterwards") {
  const testing::TempDir dir;
  ProgramRecords records(dir.file("programs"));
  records.find();
  records.add(1, "agent", 2, {"node"});
  records.lose_all(LostBy::hibernated);
  records.remove(1);
  records.remove(77);
  ProgramRecords next(dir.file("programs"));
  next.find();
  CHECK(next.take_lost() == Programs{{"agent", 2, "node", LostBy::hibernated}});
  CHECK(records.take_lost() == Programs{{"agent", 2, "node", LostBy::hibernated}});
  CHECK(sys::files_in(dir.file("programs")).empty());
}

TEST_CASE("why a program is lost has a name, and what has none was the daemon") {
  for (const LostBy why :
       {LostBy::domain, LostBy::daemon, LostBy::hibernated, LostBy::max_awake, LostBy::deleted}) {
    CHECK(parse_lost_by(name_of(why)) == why);
  }
  CHECK(parse_lost_by("") == LostBy::daemon);
}

TEST_CASE("a record that is cut off is no program, and a long command is cut between characters") {
  const testing::TempDir dir;
  sys::make_dirs(dir.file("programs"));
  sys::replace_file(dir.file("programs/1"), "{\"domain\":\"sh");
  sys::replace_file(dir.file("programs/other"), "{}");
  ProgramRecords records(dir.file("programs"));
  records.find();
  CHECK(sys::files_in(dir.file("programs")).empty());
  records.add(1, "shell", 1, {"x" + std::string(kCommandLineBytesMax - 2, 'x'), "\xc3\xbc"});
  records.add(2, "shell", 2, {std::string(kCommandLineBytesMax - 1, 'x') + "\xc3\xbc"});
  records.lose_all(LostBy::hibernated);
  for (const Program& program : records.take_lost()) {
    CHECK(program.command.find_last_not_of("x ") == std::string::npos);
    CHECK(program.command.size() <= kCommandLineBytesMax);
    CHECK(program.command.size() >= kCommandLineBytesMax - 1);
  }
}

TEST_CASE("not more are told than the limit") {
  const testing::TempDir dir;
  ProgramRecords records(dir.file("programs"));
  records.find();
  for (std::uint64_t n = 1; n <= ProgramRecords::kLostMax + 1; ++n)
    records.add(n, "shell", 1, {"x"});
  records.lose_all(LostBy::hibernated);
  CHECK(sys::files_in(dir.file("programs")).size() == ProgramRecords::kLostMax);
  CHECK(records.take_lost().size() == ProgramRecords::kLostMax);
}

}  // namespace cellar::cell
