#include "journal/recovery.h"

#include <algorithm>

#include "journal/journal_fixture.h"

// What opening makes of bytes that are not as they were written.
namespace cellar::journal {
namespace {

const std::vector<std::string> kThree = {"alpha", "beta", "gamma"};

// One segment that holds the three records, each in a batch of its own.
std::string three_records() {
  SimStorage storage;
  Journal journal(storage, kSmall, kIgnore);
  for (const std::string& body : kThree) append_and_commit(journal, body);
  return storage.contents(kFirst);
}

std::size_t end_of_records(const std::string& segment) {
  return segment.find_last_not_of('\0') / 8 * 8 + 8;
}

// Opens a journal of this one segment; the bodies, or nothing where it is refused as damaged, and
// then the file must be as before.
std::optional<std::vector<std::string>> open_segment(const std::string& bytes) {
  SimStorage storage;
  storage.put(kFirst, bytes);
  try {
    return read_all(storage);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.reason() == "journal_corrupt");
    CHECK(storage.contents(kFirst) == bytes);
    CHECK(storage.unsynced_count() == 0);
    return std::nullopt;
  }
}

void check_is_prefix(const std::vector<std::string>& bodies) {
  REQUIRE(bodies.size() <= kThree.size());
  REQUIRE(std::equal(bodies.begin(), bodies.end(), kThree.begin()));
}

// A segment with these records, all in one batch.
std::string segment_with(const SegmentHeader& header, const std::vector<RecordHead>& heads) {
  std::string bytes = encode_header(header);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const std::size_t at = bytes.size();
    encode_frame(bytes, i + 1, heads[i], "body");
    seal_frame(bytes.data() + at, header.salt, 0,
               i + 1 == heads.size() ? kBatchEnd : std::uint16_t{0});
  }
  bytes.resize(header.segment_bytes, '\0');
  return bytes;
}

const SegmentHeader kRecoveryHeader = {.cell_id = "acme--user-1",
                                       .segment_no = 1,
                                       .first_lsn = 1,
                                       .salt = 0x5a5a,
                                       .segment_bytes = 8192};

}  // namespace

TEST_CASE("every bit flipped in three records is noticed, or is in the last batch, which goes") {
  const std::string intact = three_records();
  const std::size_t end = end_of_records(intact);
  const std::size_t last_begins = end - frame_size(kThree.back().size());
  // The header's bits are frame_test's; here some of each of its fields.
  for (std::size_t bit = 0; bit < end * 8; bit += bit < kHeaderBytes * 8 ? 61 : 1) {
    std::string flipped = intact;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    CAPTURE(bit);
    const auto bodies = open_segment(flipped);
    if (bit / 8 < last_begins) {
      REQUIRE_FALSE(bodies.has_value());
    } else {
      REQUIRE(bodies.has_value());
      REQUIRE(*bodies == std::vector<std::string>{"alpha", "beta"});
    }
  }
}

TEST_CASE("a segment that was truncated at any byte is refused") {
  const std::string intact = three_records();
  for (std::size_t size = 0; size < intact.size(); size += size < 4000 ? 97 : 1) {
    CAPTURE(size);
    REQUIRE_FALSE(open_segment(intact.substr(0, size)).has_value());
  }
  CHECK_FALSE(open_segment(intact + "more").has_value());
}

TEST_CASE("a batch that ends at any byte is cut off, and the journal goes on") {
  const std::string intact = three_records();
  const std::size_t end = end_of_records(intact);
  const std::size_t last_begins = end - frame_size(kThree.back().size());
  for (std::size_t size = last_begins; size < end; ++size) {
    CAPTURE(size);
    std::string torn = intact;
    std::fill(torn.begin() + static_cast<std::ptrdiff_t>(size), torn.end(), '\0');
    SimStorage storage;
    storage.put(kFirst, torn);
    const auto bodies = read_all(storage);
    check_is_prefix(bodies);
    // The last record's end is padding and a body that does not end in zeros.
    REQUIRE(bodies.size() == (torn == intact ? 3 : 2));
    const auto after = storage.contents(kFirst);
    if (torn != intact) {
      REQUIRE(end_of_records(after) == last_begins);
    }
    Journal journal(storage, kSmall, kIgnore);
    REQUIRE(journal.cut_bytes() == 0);  // The first opening did it.
    append_and_commit(journal, "delta");
    REQUIRE(read_all(storage).back() == "delta");
  }
}

TEST_CASE("a batch without its last record is cut off as a whole") {
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    append_and_commit(journal, "alpha");
    append(journal, "beta");
    append(journal, "gamma");
    commit(journal);
  }
  std::string bytes = storage.contents(kFirst);
  const std::size_t end = end_of_records(bytes);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(end - frame_size(5)), bytes.end(), '\0');
  SimStorage torn;
  torn.put(kFirst, bytes);
  const Journal journal(torn, kSmall, kIgnore);
  CHECK(journal.last_durable() == 1);
  CHECK(journal.cut_bytes() > 0);
}

TEST_CASE("damage in the middle is refused, and the file is left alone") {
  const std::string intact = three_records();
  const auto damaged = [&](std::size_t begin, std::size_t size, char byte) {
    std::string bytes = intact;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(begin), size, byte);
    return bytes;
  };
  const std::size_t record = frame_size(5);
  CHECK_FALSE(open_segment(damaged(kHeaderBytes, record, '\0')).has_value());
  CHECK_FALSE(open_segment(damaged(kHeaderBytes, record + 20, '\xff')).has_value());
  CHECK_FALSE(open_segment(damaged(kHeaderBytes + record + 4, 4, '\xff')).has_value());
  CHECK_FALSE(open_segment(damaged(0, kHeaderBytes, '\0')).has_value());
}

TEST_CASE("the message of a refusal names cell, segment, byte and records") {
  SimStorage storage;
  std::string bytes = three_records();
  bytes[kHeaderBytes + kRecordHeadBytes] = 'X';
  storage.put(kFirst, bytes);
  try {
    const Journal journal(storage, kSmall, kIgnore);
    FAIL("a damaged journal was opened");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) ==
          "journal of cell acme--user-1: 00000000000000000001.seg is damaged at byte 4096, record "
          "1: record 2 at byte 4152 says that all up to 1 had been acknowledged");
    CHECK_FALSE(error.remediation().empty());
  }
}

TEST_CASE("whole records that an earlier life of the segment left behind are none") {
  SegmentHeader recycled = kRecoveryHeader;
  std::string bytes = segment_with(recycled, {event_head(), event_head(), event_head()});
  recycled.salt = 0x5a5b;
  bytes.replace(0, kHeaderBytes, encode_header(recycled));
  CHECK(open_segment(bytes) == std::vector<std::string>{});
  // One that ends where such an old record begins.
  std::string first = segment_with(recycled, {event_head()});
  bytes.replace(0, kHeaderBytes + frame_size(4), first.substr(0, kHeaderBytes + frame_size(4)));
  CHECK(open_segment(bytes) == std::vector<std::string>{"body"});
}

TEST_CASE("segments that are missing, doubled, swapped or another cell's are refused") {
  SimStorage original;
  {
    Journal journal(original, kSmall, kIgnore);
    for (int i = 0; i < 6; ++i) append_and_commit(journal, std::string(3000, 'x'));
  }
  const auto names = original.list("");
  REQUIRE(names.size() == 6);
  const auto copy = [&](SimStorage& to) {
    for (const std::string& name : names) to.put(name, original.contents(name));
  };
  for (std::size_t i = 0; i < names.size(); ++i) {
    CAPTURE(i);
    SimStorage missing;
    copy(missing);
    missing.remove(names[i]);
    // The last one alone is not missed: whoever can remove files can remove them all.
    CHECK(refusal_of(missing) == (i + 1 < names.size() ? "journal_corrupt" : ""));
    SimStorage swapped;
    copy(swapped);
    swapped.put(names[i], original.contents(names[(i + 1) % names.size()]));
    CHECK(refusal_of(swapped) == "journal_corrupt");
  }
  SimStorage doubled;
  copy(doubled);
  doubled.put("00000000000000000007.seg", original.contents(names.back()));
  CHECK(refusal_of(doubled) == "journal_corrupt");

  Options other = kSmall;
  other.cell_id = "another";
  CHECK(refusal_of(original, other) == "journal_corrupt");

  // A segment of the same cell with another past: whole, and in its place, but not its successor.
  SimStorage grafted;
  copy(grafted);
  SimStorage other_past;
  Journal journal(other_past, kSmall, kIgnore);
  for (int i = 0; i < 6; ++i) append_and_commit(journal, std::string(3000, 'x'));
  grafted.put(names[2], other_past.contents(names[2]));
  CHECK(refusal_of(grafted) == "journal_corrupt");
}

TEST_CASE("an unknown type is skipped where it is a hint, and refused with both versions else") {
  const auto unknown = [](std::uint16_t flags) {
    return RecordHead{.run = 1, .type = static_cast<Type>(999), .flags = flags, .t_ns = 1};
  };
  SimStorage hinted;
  hinted.put(kFirst, segment_with(kRecoveryHeader, {event_head(), unknown(kHint), event_head()}));
  std::vector<Lsn> visited;
  Journal journal(hinted, kSmall, [&](const Record& record) { visited.push_back(record.lsn); });
  CHECK(visited == std::vector<Lsn>{1, 3});
  CHECK(journal.last_durable() == 3);
  CHECK(journal.for_each(1, 0, 10, kIgnore) == 2);
  CHECK(append(journal, "next") == 4);

  for (const RecordHead& head : {unknown(0), RecordHead{.type = Type::snapshot, .t_ns = 1},
                                 RecordHead{.type = Type::paused, .flags = kZstd, .t_ns = 1},
                                 RecordHead{.type = Type::paused, .flags = 0x100, .t_ns = 1}}) {
    SegmentHeader later = kRecoveryHeader;
    later.version = 7;
    SimStorage storage;
    const std::string bytes = segment_with(later, {event_head(), head});
    storage.put(kFirst, bytes);
    CHECK(refusal_of(storage) == "journal_too_new");
    CHECK(storage.contents(kFirst) == bytes);
    try {
      const Journal refused(storage, kSmall, kIgnore);
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find("written by version 7") != std::string::npos);
      CHECK(std::string(error.what()).find("this is version 1") != std::string::npos);
    }
  }
}

TEST_CASE("a segment that asks for a later reader is refused") {
  SegmentHeader later = kRecoveryHeader;
  later.version = 3;
  SimStorage readable;
  readable.put(kFirst, segment_with(later, {event_head()}));
  CHECK(refusal_of(readable).empty());
  later.min_reader = 2;
  SimStorage storage;
  storage.put(kFirst, segment_with(later, {event_head()}));
  CHECK(refusal_of(storage) == "journal_too_new");
}

TEST_CASE("a segment that is larger than they are made is read") {
  SegmentHeader large = kRecoveryHeader;
  large.segment_bytes = kSegmentBytesMax + kHeaderBytes;
  SimStorage storage;
  storage.put(kFirst, segment_with(large, {event_head()}));
  CHECK(read_all(storage).size() == 1);
}

TEST_CASE("bodies that look like later records do not make a torn tail look like damage") {
  // What a cell can put into a body: records with every field right, but for the salt.
  std::string forged;
  for (Lsn lsn = 3; lsn < 12; ++lsn) {
    const std::size_t at = forged.size();
    encode_frame(forged, lsn, event_head(), "forged");
    seal_frame(forged.data() + at, 1, lsn - 1, kBatchEnd);
  }
  SimStorage storage;
  {
    Journal journal(storage, kSmall, kIgnore);
    append_and_commit(journal, "alpha");
    append_and_commit(journal, std::string(4, ' ') + forged);  // 44 + 4 is a multiple of 8
  }
  std::string bytes = storage.contents(kFirst);
  bytes[kHeaderBytes + frame_size(5) + 1] ^= 'X';  // Of a checksum, which may be any byte.
  CHECK(open_segment(bytes) == std::vector<std::string>{"alpha"});
}

TEST_CASE("files that are not ours do no harm, and what was half-made is removed") {
  SimStorage storage;
  storage.put(kFirst, three_records());
  for (const char* name : {"LOCK", "1.seg", "0000000000000000000x.seg", "notes.txt"}) {
    storage.put(name, "not ours");
  }
  storage.put("00000000000000000004.seg.tmp", "half-made");
  storage.put("spare.ready", "a spare");
  CHECK(read_all(storage) == kThree);
  CHECK(storage.has("notes.txt"));
  CHECK_FALSE(storage.has("00000000000000000004.seg.tmp"));
  CHECK_FALSE(storage.has("spare.ready"));
}

TEST_CASE("an error of the visitor reaches the caller, and nothing was changed") {
  SimStorage storage;
  storage.put(kFirst, three_records());
  const auto refuse = [](const Record&) { throw Error(ErrorCode::internal, "no"); };
  CHECK_THROWS_WITH(Journal(storage, kSmall, refuse), "no");
  CHECK(storage.unsynced_count() == 0);
}

}  // namespace cellar::journal
