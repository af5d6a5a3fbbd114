#include <cerrno>

#include "journal/journal_fixture.h"

// A disk with no room is noticed before anything is done that has to be recorded.
namespace cellar::journal {
namespace {

constexpr std::size_t kStepsMax = 10;
// What a step of the agent below records.
constexpr std::size_t kStepBytes = 1200;

// Executes steps from the `next`-th on as long as there is room for the record of one; throws what
// the disk says where a step was done and cannot be recorded. The number of the next step.
std::size_t execute(SimStorage& storage, std::size_t next) {
  Journal journal(storage, kSmall, kIgnore);
  for (; next < kStepsMax; ++next) {
    try {
      make_spare(journal, kStepBytes);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::exhausted);
      CHECK_FALSE(journal.is_broken());
      CHECK_FALSE(storage.has("spare.tmp"));
      break;
    }
    append(journal, "start " + std::to_string(next));
    if (next % 2 == 0) commit(journal);  // Mostly it comes with the end.
    append(journal, std::string(1000, 'x'));
    commit(journal);
  }
  return next;
}

}  // namespace

TEST_CASE("with whatever room there is, no step is done that cannot be recorded") {
  std::size_t most = 0;
  for (std::size_t room = 0; most < kStepsMax; room += 512) {
    CAPTURE(room);
    SimStorage storage;
    storage.limit_room(room);
    std::size_t done = 0;
    REQUIRE_NOTHROW(done = execute(storage, 0));
    CHECK(done >= most);
    most = done;
    REQUIRE(read_all(storage).size() == 2 * done);
    REQUIRE_NOTHROW(done = execute(storage, done));  // Another process finds the same disk.
    storage.restore_power(0);
    REQUIRE(read_all(storage).size() == 2 * done);
    storage.limit_room(1 << 20);
    CHECK(execute(storage, done) == kStepsMax);
    CHECK(read_all(storage).size() == 2 * kStepsMax);
  }
  CHECK(most == kStepsMax);
}

TEST_CASE("what was appended on a full disk waits, and goes on once there is room") {
  SimStorage storage;
  storage.limit_room(9000);
  Journal journal(storage, kSmall, kIgnore);
  append_and_commit(journal, std::string(3000, 'a'));
  append(journal, std::string(3000, 'b'));
  CHECK_FALSE(journal.has_room());
  CHECK(journal.room_bytes() == 0);
  CHECK_THROWS_AS(make_spare(journal), Error);
  CHECK_FALSE(journal.is_broken());
  CHECK(journal.read(2).body == std::string(3000, 'b'));
  append(journal, std::string(3000, 'c'));
  storage.limit_room(1 << 20);
  commit(journal);
  CHECK(journal.last_durable() == 3);
  CHECK(read_all(storage).size() == 3);
}

TEST_CASE("a spare that is being replaced is taken by no batch, and is there where that fails") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  make_spare(journal, 100);
  append(journal, "a");
  CHECK(journal.leave_spare() == 8192);
  CHECK_FALSE(journal.has_room());
  journal.spare_made(8192);
  storage.limit_room(10'000);
  CHECK_THROWS_AS(make_spare(journal, 50'000), Error);
  CHECK(journal.has_room());
  commit(journal);
  CHECK(read_all(storage) == std::vector<std::string>{"a"});
}

TEST_CASE("a spare is as large as what has to fit") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  CHECK(journal.wanted_spare_bytes() == 0);
  CHECK(journal.wanted_spare_bytes(100) == 8192);
  CHECK(journal.wanted_spare_bytes(50'000) == 56 << 10);
  make_spare(journal, 50'000);
  CHECK(journal.room_bytes() >= 50'000);
  CHECK(journal.wanted_spare_bytes(50'000) == 0);
  append(journal, std::string(20'000, 'x'));
  CHECK(journal.room_bytes() < 50'000 - 20'000 + 4096);
  make_spare(journal, 50'000);
  CHECK(journal.room_bytes() >= 50'000);
  commit(journal);
  CHECK(journal.room_bytes() >= 50'000);
}

}  // namespace cellar::journal
