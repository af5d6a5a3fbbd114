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

TEST_CASE(
    "a spare has room for what may be asked for, is no larger than a segment may be, and grows") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  const std::uint64_t largest = journal.wanted_spare_bytes(kRoomBytesMax);
  CHECK(largest >= kHeaderBytes + kRoomBytesMax);
  CHECK(largest <= kSegmentBytesMax);
  std::uint64_t written_bytes = 0;  // For what is wanted bit by bit.
  for (std::uint64_t bytes = 8192; bytes < (1 << 20); bytes += 1024) {
    written_bytes += journal.wanted_spare_bytes(bytes);
    make_spare(journal, bytes);
    REQUIRE(journal.room_bytes() >= bytes);
  }
  CHECK(written_bytes < (8 << 20));
}

TEST_CASE("whoever appends several records can ask first whether all of them are taken") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  const std::string large(kBodyBytesMax, 'x');
  for (int i = 0; i < 3; ++i) append(journal, large);
  const std::uint64_t left = kPendingBytesMax - journal.pending_bytes();
  CHECK_NOTHROW(journal.require_takes(left));
  CHECK_THROWS_AS(journal.require_takes(left + 1), Error);
  CHECK(journal.last_appended() == 3);
  CHECK_THROWS_AS(Journal::require_body(kBodyBytesMax + 1), Error);
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

TEST_CASE("a spare is as large as what has to fit, and a part more") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  CHECK(journal.wanted_spare_bytes() == 0);
  CHECK(journal.wanted_spare_bytes(100) == 8192);
  CHECK(journal.wanted_spare_bytes(50'000) == 68 << 10);
  make_spare(journal, 50'000);
  CHECK(journal.room_bytes() >= 50'000);
  CHECK(journal.wanted_spare_bytes(50'000) == 0);
  append(journal, std::string(20'000, 'x'));
  CHECK(journal.room_bytes() < 50'000);
  make_spare(journal, 50'000);
  CHECK(journal.room_bytes() >= 50'000);
  commit(journal);
  CHECK(journal.room_bytes() >= 50'000);
}

TEST_CASE("a spare that is being replaced counts as room all the while") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  make_spare(journal, 100);
  const std::uint64_t before = journal.room_bytes();
  CHECK(before == 4096);
  journal.leave_spare();
  CHECK(journal.room_bytes() == before);
  journal.spare_made(16'384);
  CHECK(journal.room_bytes() == 12'288);
}

TEST_CASE("the spare that an earlier process made is room on a disk that is full now") {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    append_and_commit(journal, std::string(4000, 'a'));
    make_spare(journal, 4000);
  }
  storage.limit_room(0);
  Journal journal(storage, kSmall, kIgnore);
  CHECK(journal.room_bytes() == 4096);
  append_and_commit(journal, std::string(4000, 'b'));
  CHECK(journal.last_durable() == 2);
  CHECK_FALSE(storage.has("spare.ready"));
}

// It is killed between the write of the first batch and the segment's name, or loses power there.
TEST_CASE("a spare that a crash left half-begun holds zeros again before it is used") {
  bool has_crashed = true;
  for (int call = 1; has_crashed; ++call) {
    CAPTURE(call);
    SimStorage storage;
    Journal first(storage, kSmall, kIgnore);
    append_and_commit(first, std::string(4000, 'a'));
    make_spare(first, 4000);
    append(first, std::string(3000, 'b'));
    storage.fail_at(call, EIO);
    has_crashed = false;
    try {
      commit(first);
    } catch (const Error&) {
      has_crashed = true;
    }
    storage.fail_at(0, 0);
    const std::size_t kept = read_all(storage).size();
    CHECK(kept >= 1);
    if (storage.has("spare.ready")) {
      CHECK(storage.open("spare.ready")->read_at(0, 8192) == std::string(8192, '\0'));
    }
    Journal second(storage, kSmall, kIgnore);
    append_and_commit(second, "c");
    append_and_commit(second, std::string(3000, 'd'));
    CHECK(read_all(storage).size() == kept + 2);
  }
}

TEST_CASE("a spare of a size that no segment has is removed") {
  for (const std::size_t bytes : {0, 4096, 5000}) {
    CAPTURE(bytes);
    SimStorage storage;
    storage.create("spare.ready")->write_at(0, std::string(bytes, '\0'));
    const Journal journal(storage, kSmall, kIgnore);
    CHECK(journal.room_bytes() == 0);
    CHECK_FALSE(storage.has("spare.ready"));
  }
}

}  // namespace cellar::journal
