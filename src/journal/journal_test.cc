#include "journal/journal.h"

#include <cerrno>
#include <thread>

#include "base/bytes.h"
#include "journal/file_storage.h"
#include "journal/journal_fixture.h"
#include "testing/temp_dir.h"

namespace cellar::journal {

TEST_CASE("an empty folder is an empty journal, and nothing is made before the first write") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  CHECK(journal.last_appended() == 0);
  CHECK(journal.last_durable() == 0);
  CHECK_FALSE(journal.dirty());
  CHECK_THROWS_AS(journal.read(1), Error);
  CHECK(storage.list("").empty());
}

TEST_CASE("records come back in order, with everything that was said about them") {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    CHECK(journal.append(3, 0, RunCreated{.run_id = "run_1"}) == 1);
    CHECK(journal.append(3, 5, Event{.type = "log", .data = "1"}) == 2);
    CHECK(journal.last_durable() == 0);
    commit(journal);
    CHECK(journal.last_durable() == 2);
    journal.append({.run = 4, .ordinal = 6, .type = Type::resumed, .t_ns = 99}, Resumed{}.encode());
    commit(journal);
  }
  std::vector<Record> records;
  const Journal journal(storage, kSmall, [&](const Record& record) { records.push_back(record); });
  REQUIRE(records.size() == 3);
  CHECK(records[0].lsn == 1);
  CHECK(records[0].run == 3);
  CHECK(records[0].type == Type::run_created);
  CHECK(records[0].t_ns > 1'700'000'000'000'000'000);
  CHECK(RunCreated::decode(records[0].body)->run_id == "run_1");
  CHECK(records[1].ordinal == 5);
  CHECK((records[1].flags & kHint) != 0);
  CHECK(records[2].lsn == 3);
  CHECK(records[2].run == 4);
  CHECK(records[2].ordinal == 6);
  CHECK(records[2].t_ns == 99);
  CHECK(journal.last_durable() == 3);
}

TEST_CASE("the owner appends and reads while a batch is being written") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  append_and_commit(journal, "durable");
  append(journal, "on its way");
  Batch batch = journal.seal();
  CHECK(batch.first() == 2);
  CHECK(batch.last() == 2);
  CHECK_FALSE(journal.dirty());
  append(journal, "later");
  CHECK(journal.dirty());
  for (int i = 0; i < 3; ++i) {  // Before the write, between write and word, and after.
    CHECK(journal.read(1).body == "durable");
    CHECK(journal.read(2).body == "on its way");
    CHECK(journal.read(3).body == "later");
    CHECK(journal.last_durable() == (i < 2 ? 1 : 2));
    if (i == 0) journal.write(batch);
    if (i == 1) journal.committed(std::move(batch));
  }
  commit(journal);
  CHECK(journal.read(3).body == "later");
  CHECK(read_all(storage) == std::vector<std::string>{"durable", "on its way", "later"});
}

TEST_CASE("the records of one run are found, durable or not, after a place and up to a limit") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  for (int i = 0; i < 60; ++i) {
    append(journal, "run " + std::to_string(i % 3) + " at " + std::to_string(i),
           static_cast<std::uint32_t>(i % 3));
    if (i % 7 == 0) commit(journal);
  }
  std::vector<Lsn> lsns;
  const auto collect = [&](const Record& record) {
    CHECK(record.body == "run 1 at " + std::to_string(record.lsn - 1));
    lsns.push_back(record.lsn);
  };
  CHECK(journal.for_each(1, 0, 1000, collect) == 20);
  CHECK(lsns.front() == 2);
  CHECK(lsns.back() == 59);
  CHECK(journal.last_of(1) == 59);
  lsns.clear();
  CHECK(journal.for_each(1, 29, 3, collect) == 3);
  CHECK(lsns == std::vector<Lsn>{32, 35, 38});
  CHECK(journal.for_each(1, 59, 3, collect) == 0);
  CHECK(journal.for_each(77, 0, 3, collect) == 0);
  CHECK(journal.last_of(77) == 0);
}

TEST_CASE("a visitor may append: it does not see what it appended beyond the limit") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  append(journal, "first");
  const auto visited =
      journal.for_each(1, 0, 5, [&](const Record&) { append(journal, "one more"); });
  CHECK(visited == 5);
  CHECK(journal.last_appended() == 6);
}

TEST_CASE("a full segment is followed by another, and all are read") {
  SimStorage storage;
  std::vector<std::string> appended;
  {
    Journal journal(storage, kSmall, kIgnore);
    for (int i = 0; i < 100; ++i) {
      appended.push_back(std::string(200, static_cast<char>('a' + i % 26)) + std::to_string(i));
      append_and_commit(journal, appended.back());
    }
    CHECK(storage.list("").size() > 4);
    for (Lsn lsn = 1; lsn <= 100; ++lsn) CHECK(journal.read(lsn).body == appended[lsn - 1]);
  }
  CHECK(read_all(storage) == appended);
  {
    Journal journal(storage, kSmall, kIgnore);
    for (Lsn lsn = 100; lsn > 0; --lsn) CHECK(journal.read(lsn).body == appended[lsn - 1]);
    appended.push_back("after");
    append_and_commit(journal, "after");
  }
  CHECK(read_all(storage) == appended);
}

TEST_CASE("segments grow from the first size to the largest") {
  SimStorage storage;
  const Options options{
      .cell_id = "c", .first_segment_bytes = 16 << 10, .segment_bytes_max = 128 << 10};
  Journal journal(storage, options, kIgnore);
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 100; ++i) append_and_commit(journal, std::string(4000, 'x'));
  for (const std::string& name : storage.list("")) sizes.push_back(storage.contents(name).size());
  REQUIRE(sizes.size() >= 4);
  CHECK(sizes[0] == 16 << 10);
  CHECK(sizes[1] == 64 << 10);
  CHECK(sizes[2] == 128 << 10);
  CHECK(sizes[3] == 128 << 10);
}

TEST_CASE("a batch larger than a segment gets one of its own size") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  append_and_commit(journal, "small");
  const std::string large(1 << 20, 'L');
  append_and_commit(journal, large);
  append_and_commit(journal, "small again");
  CHECK(journal.read(2).body == large);
  CHECK(read_all(storage) == std::vector<std::string>{"small", large, "small again"});
}

TEST_CASE("a segment made ahead is taken over where the next one begins") {
  SimStorage storage;
  std::vector<std::string> appended;
  {
    Journal journal(storage, kSmall, kIgnore);
    CHECK(journal.wanted_spare_bytes() == 0);
    for (int i = 0; i < 40; ++i) {
      appended.push_back(std::string(300, static_cast<char>('a' + i % 26)));
      append_and_commit(journal, appended.back());
      if (const auto bytes = journal.wanted_spare_bytes(); bytes > 0) {
        CHECK_FALSE(storage.has("spare.ready"));
        journal.make_spare(bytes);
        journal.spare_made(bytes);
        CHECK(storage.has("spare.ready"));
        CHECK(journal.wanted_spare_bytes() == 0);
      }
    }
    CHECK(storage.has("00000000000000000012.seg"));
  }
  CHECK(read_all(storage) == appended);
}

TEST_CASE("a spare that vanished breaks the journal, until it is opened anew") {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    append_and_commit(journal, std::string(3000, 'a'));
    make_spare(journal);
    storage.remove("spare.ready");
    CHECK_THROWS_AS(append_and_commit(journal, std::string(3000, 'b')), Error);
    CHECK(journal.is_broken());
  }
  CHECK(read_all(storage).size() == 1);
}

TEST_CASE("what is too much is refused, and does no harm") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  CHECK_THROWS_AS(append(journal, std::string(kBodyBytesMax + 1, 'x')), Error);
  const std::string large(kBodyBytesMax, 'x');
  for (int i = 0; i < 3; ++i) append(journal, large);
  try {
    append(journal, large);
    FAIL("more than kPendingBytesMax was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::exhausted);
    CHECK(error.reason() == "journal_backlog");
  }
  CHECK(journal.last_appended() == 3);
  const Options long_id{.cell_id = std::string(kCellIdBytesMax + 1, 'c')};
  CHECK_THROWS_AS(Journal(storage, long_id, kIgnore), Error);
}

TEST_CASE("after a write or a sync that failed, everything but the durable past is refused") {
  for (int call = 1; call <= 2; ++call) {
    CAPTURE(call);
    SimStorage storage;
    {
      Journal journal(storage, kSmall, kIgnore);
      append_and_commit(journal, "durable");
      append(journal, "lost");
      storage.fail_at(call, EIO);
      CHECK_THROWS_AS(commit(journal), Error);
      CHECK(journal.is_broken());
      try {
        append(journal, "never");
        FAIL("a broken journal took a record");
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::unavailable);
        CHECK(error.reason() == "journal_io_error");
      }
      CHECK_THROWS_AS(journal.seal(), Error);
      CHECK_THROWS_AS(journal.read(2), Error);
      CHECK(journal.read(1).body == "durable");
      CHECK(journal.for_each(1, 0, 10, kIgnore) == 1);
      CHECK(journal.last_durable() == 1);
      CHECK(journal.wanted_spare_bytes() == 0);
    }
    CHECK(read_all(storage).front() == "durable");
  }
}

TEST_CASE("a value above 64 KiB goes to a blob, once, and comes back whole") {
  testing::TempDir dir;
  FileStorage storage(dir.file("journal"));
  Journal journal(storage, kSmall, kIgnore);
  const std::string large(kInlineBytesMax + 1, 'v');
  const Payload payload = journal.store(large);
  REQUIRE(payload.blob.has_value());
  CHECK(payload.bytes.empty());
  CHECK(payload.blob->size_bytes == large.size());
  CHECK(journal.store(large) == payload);
  CHECK(journal.load(payload) == large);
  const Payload small = journal.store(std::string(kInlineBytesMax, 'v'));
  CHECK_FALSE(small.blob.has_value());
  CHECK(journal.load(small).size() == kInlineBytesMax);

  journal.append(1, 1, StepEnd{.ok = true, .value = payload});
  commit(journal);
  const Record record = journal.read(1);
  CHECK((record.flags & kBlob) != 0);
  CHECK(journal.load(StepEnd::decode(record.body)->value) == large);
}

TEST_CASE("two owners of one journal are refused, until the first is gone") {
  testing::TempDir dir;
  const std::string path = dir.file("journal");
  {
    const FileStorage first(path);
    try {
      const FileStorage second(path);
      FAIL("the same journal was opened twice");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::conflict);
      CHECK(error.reason() == "journal_locked");
    }
  }
  const FileStorage third(path);
}

TEST_CASE("a real folder keeps the records over a reopen and over segments") {
  testing::TempDir dir;
  std::vector<std::string> appended;
  for (int opening = 0; opening < 3; ++opening) {
    FileStorage storage(dir.file("journal"));
    CHECK(read_all(storage) == appended);
    Journal journal(storage, kSmall, kIgnore);
    for (int i = 0; i < 10; ++i) {
      appended.push_back(std::string(700, static_cast<char>('a' + i)));
      append_and_commit(journal, appended.back());
    }
    for (Lsn lsn = 1; lsn <= appended.size(); ++lsn) {
      CHECK(journal.read(lsn).body == appended[lsn - 1]);
    }
  }
}

TEST_CASE("writes, spares and blobs on other threads do not disturb the owner") {
  testing::TempDir dir;
  FileStorage storage(dir.file("journal"));
  std::vector<std::string> appended;
  {
    Journal journal(storage, kSmall, kIgnore);
    const auto append_one = [&] {
      appended.push_back("record " + std::to_string(appended.size()) + std::string(150, '.'));
      append(journal, appended.back());
    };
    append_one();
    for (int round = 0; round < 40; ++round) {
      if (!journal.has_room()) make_spare(journal);
      Batch batch = journal.seal();
      const std::uint64_t spare_bytes = journal.wanted_spare_bytes();
      std::thread writer([&] { journal.write(batch); });
      std::thread helper([&] {
        if (spare_bytes > 0) journal.make_spare(spare_bytes);
        journal.put_blob("blob " + std::to_string(round % 3));
      });
      for (int i = 0; i < 3; ++i) append_one();
      for (Lsn lsn = 1; lsn <= appended.size(); lsn += 7) {
        CHECK(journal.read(lsn).body == appended[lsn - 1]);
      }
      writer.join();
      helper.join();
      journal.committed(std::move(batch));
      if (spare_bytes > 0) journal.spare_made(spare_bytes);
    }
    commit(journal);
  }
  CHECK(read_all(storage) == appended);
}

TEST_CASE("who reads ahead finds what is there, in any order, and what is written meanwhile") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  std::vector<std::string> bodies;
  ReadAhead ahead;
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::size_t size = bodies.size() % 9 == 0 ? 5000 : bodies.size() % 40;
      bodies.push_back(std::string(size, 'x') + std::to_string(bodies.size()));
      append_and_commit(journal, bodies.back());
    }
  };
  const auto reads = [&](std::size_t number) {
    return journal.read(number + 1, &ahead).body == bodies[number];
  };
  add(60);
  for (int times = 0; times < 2; ++times) {
    for (std::size_t i = 0; i < bodies.size(); ++i) CHECK(reads(i));
    for (std::size_t i = bodies.size(); i-- > 0;) CHECK(reads(i));
    for (std::size_t i = 0; i < bodies.size(); ++i) CHECK(reads(i * 37 % bodies.size()));
    CHECK(reads(bodies.size() - 1));
    add(3);  // Behind what was read of that segment.
  }
  for (std::size_t i = bodies.size() - 4; i < bodies.size(); ++i) CHECK(reads(i));
}

TEST_CASE("who reads ahead is told of damage, too") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  append_and_commit(journal, "a body");
  append_and_commit(journal, "another");
  storage.open(kFirst)->write_at(kHeaderBytes + kRecordHeadBytes, "X");
  ReadAhead ahead;
  CHECK(journal.read(2, &ahead).body == "another");
  CHECK_THROWS_AS(journal.read(1, &ahead), Error);
}

TEST_CASE("a read that gives back something else than was written is an error") {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  append_and_commit(journal, "a body");
  storage.open(kFirst)->write_at(kHeaderBytes + kRecordHeadBytes, "X");
  try {
    journal.read(1);
    FAIL("damaged bytes were taken for the record");
  } catch (const Error& error) {
    CHECK(error.reason() == "journal_corrupt");
  }
}

}  // namespace cellar::journal
