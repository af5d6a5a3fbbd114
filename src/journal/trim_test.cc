#include <algorithm>
#include <cerrno>

#include "journal/journal_fixture.h"

// What a journal forgets, and what is left of it when that is interrupted.
namespace cellar::journal {
namespace {

// Of which two fill a segment of kSmall.
const std::string kHalf(1900, 'x');

std::string name_of_blob(const std::string& digest) {
  return "blobs/" + digest.substr(0, 2) + "/" + digest;
}

// Says that all before `first_kept` may go, durably.
void allow(Journal& journal, Lsn first_kept) {
  journal.append(0, 0, Trim{.first_kept = first_kept, .first_run = 2});
  commit(journal);
}

void trim(Journal& journal, Lsn first_kept) {
  allow(journal, first_kept);
  journal.remove(journal.trim(first_kept));
}

// Three segments of two records each, and the begin of a fourth.
void fill(Journal& journal) {
  for (int i = 0; i < 7; ++i) append_and_commit(journal, kHalf);
  REQUIRE(journal.segment_begin(6) == 5);
  REQUIRE(journal.segment_begin(7) == 7);
}

// The word that all before record 5 may go is on the disk, and nothing is gone yet.
SimStorage before_trim() {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    fill(journal);
    allow(journal, 5);
  }
  return storage;
}

Lsn first_of(SimStorage& storage) { return Journal(storage, kSmall, kIgnore).first(); }

}  // namespace

TEST_CASE("what was trimmed is gone, the rest is read, and the journal goes on") {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    fill(journal);
    trim(journal, 5);
    CHECK(journal.first() == 5);
    CHECK_THROWS_AS(journal.read(4), Error);
    CHECK(journal.read(5).body == kHalf);
    CHECK(journal.for_each(1, 0, 100, kIgnore) == 3);
    append_and_commit(journal, kHalf);
    append_and_commit(journal, kHalf);
  }
  CHECK(list_segments(storage) == std::vector<Lsn>{5, 7, 10});
  Journal journal(storage, kSmall, kIgnore);
  CHECK(journal.first() == 5);
  CHECK(journal.last_durable() == 10);
  CHECK(journal.read(10).body == kHalf);
  trim(journal, 10);
  append_and_commit(journal, "after");
  CHECK(journal.read(12).body == "after");
  CHECK(first_of(storage) == 10);
}

TEST_CASE("a journal that may be trimmed is trimmed when it is opened") {
  SimStorage storage = before_trim();
  const Journal journal(storage, kSmall, kIgnore);
  CHECK(journal.first() == 5);
  CHECK(list_segments(storage) == std::vector<Lsn>{5, 7});
}

TEST_CASE("segments that are missing in front are damage, as far as no record lets them go") {
  SimStorage original = before_trim();
  const auto without = [&](const std::vector<Lsn>& missing) {
    SimStorage storage = original;
    for (const Lsn lsn : missing) storage.remove(segment_name(lsn));
    return refusal_of(storage);
  };
  CHECK(without({}).empty());
  CHECK(without({1}).empty());
  CHECK(without({1, 3}).empty());
  CHECK(without({3}) == "journal_corrupt");  // They go in order.
  CHECK(without({1, 3, 5}) == "journal_corrupt");
  CHECK(without({1, 3, 5, 7}).empty());         // Whoever can remove files can remove them all.
  CHECK(without({1, 7}) == "journal_corrupt");  // The last one says so.
}

TEST_CASE("a journal that was trimmed is as well protected as one that was not") {
  SimStorage original;
  {
    Journal journal(original, kSmall, kIgnore);
    fill(journal);
    trim(journal, 3);
  }
  for (const Lsn lsn : {3, 5}) {
    CAPTURE(lsn);
    SimStorage storage = original;
    std::string bytes = storage.contents(segment_name(lsn));
    bytes[kHeaderBytes + kRecordHeadBytes + 7] ^= 1;
    storage.put(segment_name(lsn), bytes);
    CHECK(refusal_of(storage) == "journal_corrupt");
  }
  SimStorage storage = original;
  std::string header = storage.contents(segment_name(3));
  header[256] ^= 1;  // its number
  storage.put(segment_name(3), header);
  CHECK(refusal_of(storage) == "journal_corrupt");
}

TEST_CASE("a record that lets go what ends within a segment is refused") {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    fill(journal);
    allow(journal, 4);
  }
  CHECK(refusal_of(storage) == "journal_corrupt");
  CHECK(list_segments(storage).size() == 4);
}

TEST_CASE("blobs go with the last record that names them, and those that no record names") {
  SimStorage storage;
  std::vector<std::string> digests;
  const auto store = [&](Journal& journal, const std::string& value) {
    const Payload payload{.bytes = {}, .blob = journal.put_blob(value)};
    journal.append(1, 1, StepEnd{.ok = true, .value = payload});
    commit(journal);
    digests.push_back(payload.blob->digest);
  };
  const auto is_there = [&](std::size_t i) { return storage.has(name_of_blob(digests[i])); };
  {
    Journal journal(storage, kSmall, kIgnore);
    store(journal, "once");
    store(journal, "twice");
    for (int i = 0; i < 4; ++i) append_and_commit(journal, kHalf);
    store(journal, "twice");
    digests.push_back(journal.put_blob("in no record").digest);
    storage.put("blobs/ab/notes.txt", "not ours");
    const Lsn first_kept = journal.segment_begin(journal.last_durable());
    const auto trimmed = [&] {
      allow(journal, first_kept);
      return journal.trim(first_kept);
    }();
    CHECK(trimmed.blobs == std::vector<std::string>{digests[0]});
    CHECK(is_there(0));
    journal.remove(trimmed);
    CHECK_FALSE(is_there(0));
    CHECK(is_there(3));
  }
  const Journal journal(storage, kSmall, kIgnore);
  CHECK(is_there(1));
  CHECK_FALSE(is_there(3));
  CHECK(storage.has("blobs/ab/notes.txt"));
}

TEST_CASE("a segment is left early where it is to be forgotten, with no less room for what comes") {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    append_and_commit(journal, "a");
    journal.leave_segment();
    append_and_commit(journal, "no spare yet");
    CHECK(journal.segment_begin(2) == 1);
    CHECK(journal.wanted_spare_bytes() == kSmall.first_segment_bytes);
    make_spare(journal);
    const std::uint64_t room = journal.room_bytes();
    append_and_commit(journal, "b");
    CHECK(journal.segment_begin(3) == 3);
    CHECK(journal.room_bytes() == room - frame_size(1));
    append_and_commit(journal, "c");
    CHECK(journal.segment_begin(4) == 3);
  }
  CHECK(read_all(storage) == std::vector<std::string>{"a", "no spare yet", "b", "c"});
}

TEST_CASE("a segment with more room than the next one has is not left") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  make_spare(journal, 50'000);
  append_and_commit(journal, "a");
  journal.leave_segment();
  make_spare(journal);
  const std::uint64_t room = journal.room_bytes();
  append_and_commit(journal, "b");
  CHECK(journal.segment_begin(2) == 1);
  CHECK(journal.room_bytes() == room - frame_size(1));
}

TEST_CASE("a disk that fails while files are removed costs nothing, and the next opening does it") {
  for (int call = 1; call <= 4; ++call) {
    CAPTURE(call);
    SimStorage storage;
    Journal journal(storage, kSmall, kIgnore);
    fill(journal);
    allow(journal, 5);
    const auto trimmed = journal.trim(5);
    storage.fail_at(call, EIO);
    CHECK_THROWS_AS(journal.remove(trimmed), Error);
    append_and_commit(journal, "after");
    CHECK(first_of(storage) == 5);
    CHECK(list_segments(storage) == std::vector<Lsn>{5, 7});
  }
}

TEST_CASE("while what should go is there still a journal can be opened, and is not trimmed again") {
  SimStorage storage = before_trim();
  for (int call = 1; call <= 12; ++call) {
    CAPTURE(call);
    SimStorage disk = storage;
    disk.fail_from(call, EIO);
    try {
      const Journal journal(disk, kSmall, kIgnore);
      CHECK(journal.first() == 5);
      CHECK(journal.read(5).body == kHalf);
      CHECK(journal.may_trim() == !disk.has_failed());
    } catch (const Error&) {  // It could not be read.
    }
    disk.fail_from(0, 0);
    CHECK(Journal(disk, kSmall, kIgnore).may_trim());
    CHECK(list_segments(disk) == std::vector<Lsn>{5, 7});
  }
}

TEST_CASE("the power may go at any moment of a trim, and of the opening that goes on with it") {
  const auto work = [&](SimStorage& storage) {
    Journal journal(storage, kSmall, kIgnore);
    if (journal.last_durable() == 0) {
      for (const char* bytes : {"old", "shared"}) {
        const Payload payload{.bytes = {}, .blob = journal.put_blob(bytes)};
        journal.append(1, 1, StepEnd{.ok = true, .value = payload});
        commit(journal);
      }
      for (int i = 0; i < 4; ++i) append_and_commit(journal, kHalf);
      const Payload payload{.bytes = {}, .blob = journal.put_blob("shared")};
      journal.append(2, 1, StepEnd{.ok = true, .value = payload});
      commit(journal);
    }
    if (journal.first() == 1) trim(journal, journal.segment_begin(journal.last_durable()));
  };
  const auto until_power_loss = [&](SimStorage& storage, int call) {
    storage.lose_power_at(call);
    try {
      work(storage);
    } catch (const Error& error) {
      REQUIRE(error.reason() == "power_lost");
    }
    return storage.lost_power();
  };
  const auto check = [&](SimStorage& storage) {
    Journal journal(storage, kSmall, kIgnore);
    for (Lsn lsn = journal.first(); lsn <= journal.last_durable(); ++lsn) {
      const Record record = journal.read(lsn);
      if ((record.flags & kBlob) != 0) journal.load(StepEnd::decode(record.body)->value);
    }
    if (journal.first() > 1) CHECK(list_segments(storage).front() == journal.first());
    append_and_commit(journal, "after");
  };
  int states = 0;
  bool lost_power = true;
  for (int call = 1; lost_power; ++call) {
    SimStorage first;
    lost_power = until_power_loss(first, call);
    const std::size_t pieces = std::min<std::size_t>(first.unsynced_count(), 5);
    for (unsigned subset = 0; subset < 1U << pieces; ++subset) {
      SimStorage storage = first;
      storage.restore_power([subset](std::size_t piece) { return (subset >> piece & 1) != 0; });
      for (int again = 1; again < 8; ++again) {
        CAPTURE(call);
        CAPTURE(subset);
        CAPTURE(again);
        SimStorage copy = storage;
        until_power_loss(copy, again);
        copy.restore_power(again % 2 == 0 ? copy.unsynced_count() : 0);
        check(copy);
        ++states;
      }
    }
  }
  CHECK(states > 1000);
}

}  // namespace cellar::journal
