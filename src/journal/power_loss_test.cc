#include <algorithm>
#include <cerrno>
#include <random>

#include "journal/journal_fixture.h"

// What is left of a journal, and of its blobs, when the power goes or the disk fails at any moment.
namespace cellar::journal {
namespace {

// Two records of each of these batches, and a new segment on the way.
std::vector<std::string> workload() {
  std::vector<std::string> bodies;
  for (const char letter : std::string("abcd")) {
    bodies.push_back(std::string(1100, letter));
    bodies.push_back(std::string(20, letter));
  }
  return bodies;
}

// Appends the workload in batches of two; the number of records that were acknowledged.
std::size_t append_until_fault(SimStorage& storage) {
  std::size_t acknowledged = 0;
  try {
    Journal journal(storage, kSmall, kIgnore);
    const auto bodies = workload();
    for (std::size_t i = 0; i < bodies.size(); i += 2) {
      append(journal, bodies[i]);
      append(journal, bodies[i + 1]);
      commit(journal);
      acknowledged = journal.last_durable();
      if (const auto bytes = journal.wanted_spare_bytes(); bytes > 0 && i == 2) {
        journal.make_spare(bytes);
        journal.spare_made(bytes);
      }
    }
  } catch (const Error& error) {
    CHECK(error.code() != ErrorCode::corrupt);
  }
  return acknowledged;
}

// What must hold after every fault: nothing acknowledged is lost, nothing is made up, batches are
// whole, opening twice is opening once, and the journal can go on.
void check_recovered(SimStorage& storage, std::size_t acknowledged) {
  const auto appended = workload();
  auto recovered = read_all(storage);
  REQUIRE(recovered.size() >= acknowledged);
  REQUIRE(recovered.size() <= appended.size());
  REQUIRE(recovered.size() % 2 == 0);
  REQUIRE(std::equal(recovered.begin(), recovered.end(), appended.begin()));
  {
    Journal journal(storage, kSmall, kIgnore);
    REQUIRE(journal.last_durable() == recovered.size());
    append_and_commit(journal, "after");
    append_and_commit(journal, "and after");
  }
  recovered.insert(recovered.end(), {"after", "and after"});
  // Whatever a reopen said was there, is there when the power goes once more.
  storage.restore_power(0);
  REQUIRE(read_all(storage) == recovered);
}

}  // namespace

TEST_CASE("a durable record survives a power loss at any moment, and no record is made up") {
  bool lost_power = true;
  int states = 0;
  for (int call = 1; lost_power; ++call) {
    std::size_t unsynced_count = 0;
    for (std::size_t kept = 0; kept <= unsynced_count; ++kept) {
      CAPTURE(call);
      CAPTURE(kept);
      SimStorage storage;
      storage.lose_power_at(call);
      const auto acknowledged = append_until_fault(storage);
      lost_power = storage.lost_power();
      unsynced_count = storage.unsynced_count();
      storage.restore_power(kept);
      check_recovered(storage, acknowledged);
      ++states;
    }
  }
  CHECK(states > 150);
}

TEST_CASE("sectors of a torn batch may reach the disk in any order") {
  // The second batch is written into a segment that is there: three sectors, then the sync.
  int call = 1;
  for (;; ++call) {
    SimStorage storage;
    storage.lose_power_at(call);
    const auto acknowledged = append_until_fault(storage);
    if (acknowledged == 2 && storage.unsynced_count() == 3) break;
    REQUIRE(call < 100);
  }
  for (unsigned subset = 0; subset < 8; ++subset) {
    CAPTURE(subset);
    SimStorage storage;
    storage.lose_power_at(call);
    const auto acknowledged = append_until_fault(storage);
    storage.restore_power([&](std::size_t piece) { return (subset >> piece & 1) != 0; });
    check_recovered(storage, acknowledged);
  }
}

TEST_CASE("any subset of what was not synced may survive") {
  const std::uint32_t seed = 20261124;
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    SimStorage storage;
    storage.lose_power_at(static_cast<int>(random() % 45) + 1);
    const auto acknowledged = append_until_fault(storage);
    storage.restore_power([&](std::size_t) { return random() % 2 == 0; });
    check_recovered(storage, acknowledged);
  }
}

TEST_CASE("the power may go again at any moment of a recovery") {
  const auto torn = [](SimStorage& storage) {
    storage.lose_power_at(8);
    const auto acknowledged = append_until_fault(storage);
    REQUIRE(storage.unsynced_count() > 2);
    storage.restore_power([](std::size_t piece) { return piece != 1; });
    return acknowledged;
  };
  bool lost_power = true;
  for (int call = 1; lost_power; ++call) {
    std::size_t unsynced_count = 0;
    for (std::size_t kept = 0; kept <= unsynced_count; ++kept) {
      CAPTURE(call);
      CAPTURE(kept);
      SimStorage storage;
      const auto acknowledged = torn(storage);
      storage.lose_power_at(call);
      try {
        const Journal journal(storage, kSmall, kIgnore);
      } catch (const Error& error) {
        CHECK(error.reason() == "power_lost");
      }
      lost_power = storage.lost_power();
      unsynced_count = storage.unsynced_count();
      storage.restore_power(kept);
      check_recovered(storage, acknowledged);
    }
  }
}

TEST_CASE("a disk that fails at any call costs no acknowledged record") {
  for (const int error : {EIO, ENOSPC}) {
    bool failed = true;
    for (int call = 1; failed; ++call) {
      CAPTURE(call);
      SimStorage storage;
      storage.fail_at(call, error);
      const auto acknowledged = append_until_fault(storage);
      failed = storage.has_failed();
      storage.fail_at(0, 0);
      check_recovered(storage, acknowledged);
    }
  }
}

TEST_CASE("what a reopen found after a failed sync survives the next power loss") {
  SimStorage storage;
  std::size_t found = 0;
  {
    Journal journal(storage, kSmall, kIgnore);
    append_and_commit(journal, "durable");
    append(journal, "its sync fails");
    storage.fail_at(2, EIO);
    CHECK_THROWS_AS(commit(journal), Error);
  }
  {
    // The kernel still shows the lost page, and says that it is clean.
    Journal journal(storage, kSmall, kIgnore);
    found = journal.last_durable();
    append_and_commit(journal, "later");
  }
  CHECK(found == 2);
  storage.restore_power(0);
  CHECK(read_all(storage) == std::vector<std::string>{"durable", "its sync fails", "later"});
}

TEST_CASE("a record that names a blob is never there without it") {
  const std::string value(3000, 'v');
  bool lost_power = true;
  for (int call = 1; lost_power; ++call) {
    std::size_t unsynced_count = 0;
    for (std::size_t kept = 0; kept <= unsynced_count; ++kept) {
      CAPTURE(call);
      CAPTURE(kept);
      SimStorage storage;
      storage.lose_power_at(call);
      try {
        Journal journal(storage, kSmall, kIgnore);
        for (const char* bytes : {"once", "twice"}) {
          static_cast<void>(bytes);
          const Payload payload{.bytes = {}, .blob = journal.put_blob(value)};
          journal.append(1, 1, StepEnd{.ok = true, .value = payload});
          commit(journal);
        }
      } catch (const Error& error) {
        CHECK(error.reason() == "power_lost");
      }
      lost_power = storage.lost_power();
      unsynced_count = storage.unsynced_count();
      storage.restore_power([&](std::size_t piece) { return piece >= kept; });  // the last ones
      const Journal journal(storage, kSmall, kIgnore);
      for (Lsn lsn = 1; lsn <= journal.last_durable(); ++lsn) {
        REQUIRE(journal.load(StepEnd::decode(journal.read(lsn).body)->value) == value);
      }
      for (const std::string& name : storage.list("")) CHECK_FALSE(name.ends_with(".tmp"));
    }
  }
}

TEST_CASE("a blob that could not be stored leaves nothing behind, and the journal works") {
  bool failed = true;
  for (int call = 1; failed; ++call) {
    CAPTURE(call);
    SimStorage storage;
    Journal journal(storage, kSmall, kIgnore);
    storage.fail_at(call, ENOSPC);
    try {
      journal.put_blob("a value");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::exhausted);
    }
    failed = storage.has_failed();
    storage.fail_at(0, 0);
    CHECK(storage.list("").empty());
    append_and_commit(journal, "later");
    CHECK_FALSE(journal.is_broken());
  }
}

TEST_CASE("a blob that is damaged or gone is an error, and storing it again heals it") {
  SimStorage storage;
  const Journal journal(storage, kSmall, kIgnore);
  const Payload payload{.bytes = {}, .blob = journal.put_blob("a value")};
  const std::string name =
      "blobs/" + payload.blob->digest.substr(0, 2) + "/" + payload.blob->digest;
  CHECK(journal.load(payload) == "a value");
  storage.open(name)->write_at(0, "X");
  CHECK_THROWS_AS(journal.load(payload), Error);
  CHECK(journal.put_blob("a value") == payload.blob);
  CHECK(journal.load(payload) == "a value");
  storage.remove(name);
  CHECK_THROWS_AS(journal.load(payload), Error);
  for (const char* digest : {"", "../../../etc/passwd", "ab"}) {
    CHECK_THROWS_AS(journal.load({.bytes = {}, .blob = BlobRef{.digest = digest}}), Error);
  }
}

}  // namespace cellar::journal
