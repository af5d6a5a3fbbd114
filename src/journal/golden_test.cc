#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "base/text.h"
#include "journal/journal_fixture.h"
#include "sys/file.h"

// Journals that earlier versions wrote and every later one must read: testdata/journal_v1.txt. A
// new version of the format adds a file; these are never changed. CELLAR_UPDATE_GOLDEN=1 writes the
// current one anew: types may be added at its end.
namespace cellar::journal {
namespace {

const std::string kFile = std::string(CELLAR_JOURNAL_TESTDATA) + "/journal_v1.txt";

const SegmentHeader kHeader = {.cell_id = "acme--user-1",
                               .segment_no = 1,
                               .first_lsn = 1,
                               .salt = 0x0123456789abcdef,
                               .created_ns = 1'700'000'000'000'000'000,
                               .segment_bytes = 8192};

const Payload kInRecord = {.bytes = "{\"n\":1}", .blob = {}};
const Payload kInBlob = {
    .bytes = {},
    .blob = BlobRef{.digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    .size_bytes = 70000}};

// One record of every type, in batches of two.
class Writer {
 public:
  template <typename Body>
  void add(std::uint32_t run, std::uint32_t ordinal, const Body& body) {
    const std::size_t at = bytes_.size();
    ++lsn_;
    encode_frame(bytes_, lsn_,
                 {.run = run,
                  .ordinal = ordinal,
                  .type = Body::kType,
                  .flags = body.flags(),
                  .t_ns = kHeader.created_ns + lsn_},
                 body.encode());
    seal_frame(bytes_.data() + at, kHeader.salt, (lsn_ - 1) / 2 * 2,
               lsn_ % 2 == 0 ? kBatchEnd : std::uint16_t{0});
  }
  std::string segment() const {
    std::string bytes = encode_header(kHeader) + bytes_;
    bytes.resize(kHeader.segment_bytes, '\0');
    return bytes;
  }

 private:
  std::string bytes_;
  Lsn lsn_ = 0;
};

// Calls `each` for one record of every type, in the order of the file.
template <typename Each>
void for_every_record(Each each) {
  each(1u, 0u,
       RunCreated{.run_id = "run_0011223344556677",
                  .method = "generate",
                  .params = "{\"prompt\":\"caf\xc3\xa9\"}",
                  .agent_digest = "sha256-aa",
                  .idem_key = "key-1",
                  .setup = true,
                  .created_ns = 1'700'000'000'000'000'001});
  each(1u, 0u, RunAttempt{.n = 1, .epoch = 7, .cause = "start", .boot_id = "boot-1"});
  each(1u, 1u,
       StepStart{.kind = "step",
                 .name = "fetch the page",
                 .occ = 1,
                 .args_fp = "0123456789abcdef",
                 .policy = "retry",
                 .args = "[1,2]"});
  each(1u, 1u, Event{.type = "stream", .data = "{\"text\":\"hello\"}"});
  each(1u, 1u, StepAttemptFailed{.attempt = 1, .error = "{\"name\":\"E\"}", .next_at_ns = 5});
  each(1u, 1u, StepInterrupted{.attempt = 2, .cause = "daemon_restart"});
  each(1u, 1u, StepEnd{.ok = true, .codec = "json", .value = kInRecord});
  each(1u, 2u, StepEnd{.ok = false, .codec = "json", .value = kInBlob});
  each(1u, 3u, Value{.kind = "now", .name = "", .args_fp = "", .value = {.bytes = "1700"}});
  each(1u, 0u, Paused{.reason = "crash_loop", .detail = "{\"message\":\"m\"}"});
  each(1u, 0u, Resumed{});
  each(1u, 0u, CancelRequested{});
  each(1u, 0u, RunEnded{.status = "cancelled", .codec = "json", .value = kInRecord});
  each(0u, 0u, Trim{.first_kept = 1});
  each(1u, 2u, Progress{.value = "{\"job\":7}"});
  each(1u, 3u, Progress{.value = "null"});
  each(1u, 0u, EventReceived{.id = "e-1", .type = "merged", .value = kInRecord});
  each(1u, 4u, WaitMatched{.event = 17});
  each(1u, 5u, Continued{.value = kInRecord});
  each(1u, 0u, Upgraded{.agent_digest = "sha256-bb"});
  each(2u, 0u, ForkedFrom{.run_id = "run_0011223344556677", .ordinal = 5});
  each(3u, 0u, ForkedFrom{.run_id = "run_0011223344556677", .ordinal = 0});
  each(0u, 0u, Trim{.first_kept = 1, .first_run = 1, .setup_done = true});
  each(0u, 0u, Trim{.first_kept = 1, .first_run = 4});
  each(4u, 0u, Left{});
  each(5u, 0u, Left{});
}

// "<offset> <hex>" for every 32 bytes that are not all zero.
std::string to_text(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 32) {
    const auto part = bytes.substr(at, 32);
    if (part.find_first_not_of('\0') == std::string_view::npos) continue;
    text += fmt::format("{:08} {}\n", at, to_hex(part));
  }
  return text;
}

std::string from_text(std::string_view text, std::size_t size) {
  std::string bytes(size, '\0');
  for (const std::string_view line : split(text, '\n')) {
    if (line.size() < 9) continue;
    auto at = static_cast<std::size_t>(parse_int(line.substr(0, 8)).value());
    for (std::size_t i = 9; i + 1 < line.size(); i += 2) {
      bytes.at(at++) = static_cast<char>(std::stoi(std::string(line.substr(i, 2)), nullptr, 16));
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("a journal with every type of record is written as version 1 wrote it") {
  Writer writer;
  for_every_record(
      [&](auto run, auto ordinal, const auto& body) { writer.add(run, ordinal, body); });
  const std::string text = to_text(writer.segment());
  if (std::getenv("CELLAR_UPDATE_GOLDEN") != nullptr) sys::replace_file(kFile, text, 0644);
  CHECK(sys::read_file(kFile) == text);
}

TEST_CASE("the journal that version 1 wrote is read, with every member") {
  SimStorage storage;
  storage.put(kFirst, from_text(sys::read_file(kFile).value(), 8192));
  std::vector<Record> records;
  const Journal journal(storage, kSmall, [&](const Record& record) { records.push_back(record); });
  std::size_t i = 0;
  for_every_record([&](auto run, auto ordinal, const auto& body) {
    CAPTURE(i);
    REQUIRE(i < records.size());
    CHECK(records[i].lsn == i + 1);
    CHECK(records[i].run == run);
    CHECK(records[i].ordinal == ordinal);
    CHECK(records[i].type == body.kType);
    CHECK((records[i].flags & ~kBatchEnd) == body.flags());
    CHECK(records[i].t_ns == 1'700'000'000'000'000'000 + i + 1);
    CHECK(std::remove_cvref_t<decltype(body)>::decode(records[i].body) == body);
    ++i;
  });
  CHECK(records.size() == i);
  for (std::uint16_t number = 0; number < 100; ++number) {
    const auto type = static_cast<Type>(number);
    const bool is_there = std::any_of(records.begin(), records.end(),
                                      [&](const Record& record) { return record.type == type; });
    CAPTURE(number);
    CHECK(is_there == is_known(type));
  }
}

}  // namespace cellar::journal
