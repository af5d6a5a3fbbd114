#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <type_traits>

#include "base/text.h"
#include "journal/cbor.h"
#include "journal/golden.h"
#include "journal/journal_fixture.h"
#include "sys/file.h"

// Journals that earlier versions wrote and every later one must read: testdata/journal_v1.txt has
// every type of record, testdata/journal_v1_runs.txt every member, in runs as they are written. A
// new version of the format adds files; these are never changed. CELLAR_UPDATE_GOLDEN=1 writes the
// current ones anew: records may be added at their ends.
namespace cellar::journal {
namespace {

const std::string kFolder = CELLAR_JOURNAL_TESTDATA;
const std::string kEveryType = kFolder + "/journal_v1.txt";
const std::string kRuns = kFolder + "/journal_v1_runs.txt";

const SegmentHeader kHeader = {.cell_id = "acme--user-1",
                               .segment_no = 1,
                               .first_lsn = 1,
                               .salt = 0x0123456789abcdef,
                               .created_ns = 1'700'000'000'000'000'000,
                               .segment_bytes = kGoldenBytes};

const Payload kInRecord = {.bytes = "{\"n\":1}", .blob = {}};
const Payload kInBlob = {
    .bytes = {},
    .blob = BlobRef{.digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    .size_bytes = 70000}};

// In batches of two.
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

// Calls `each` for one record of every type, in the order of its file.
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
  each(1u, 0u,
       Carried{.run_id = "run_0011223344556677",
               .method = "generate",
               .value = kInRecord,
               .agent_digest = "sha256-bb",
               .started_ns = 1'700'000'000'001'000'000,
               .attempt = 2,
               .generation = 1});
  each(1u, 6u, Continued{.value = kInRecord});
}

// The same for runs in which every member is set. One in Python is interrupted in a step that must
// not be repeated, decided about, moved to another version, continued, and cancelled with rollback;
// another one begins again from it.
template <typename Each>
void for_every_record_of_runs(Each each) {
  each(1u, 0u,
       RunCreated{.run_id = "run_1_0011223344556677",
                  .method = "trip",
                  .params = "{\"to\":\"Bern\"}",
                  .agent_digest = "sha256-aa",
                  .agent_language = "python",
                  .idem_key = "key-1",
                  .setup = true,
                  .created_ns = 1'700'000'000'000'000'001});
  each(1u, 0u, RunAttempt{.n = 1, .epoch = 7, .cause = "start", .boot_id = "boot-1"});
  const StepStart book = {.kind = "step",
                          .name = "book",
                          .occ = 2,
                          .args_fp = "0123456789abcdef",
                          .policy = "ask",
                          .args = "[1]",
                          .sensitive = true};
  each(1u, 1u, book);
  each(1u, 1u, Progress{.value = "c2VhbGVk", .sealed = true, .turn = 1});
  each(1u, 0u, Event{.type = "stream", .data = "{\"at\":1}", .step = 1, .turn = 1});
  each(1u, 1u, StepAttemptFailed{.attempt = 1, .error = "{\"name\":\"E\"}", .next_at_ns = 5});
  each(1u, 0u, Paused{.reason = "ambiguous_step", .detail = "{\"ordinal\":1}"});
  each(1u, 1u, StepInterrupted{.attempt = 1, .cause = "decided"});
  each(1u, 0u, Resumed{.skips_setup = true});
  each(1u, 0u, Upgraded{.agent_digest = "sha256-bb"});
  each(1u, 0u, RunAttempt{.n = 2, .epoch = 7, .cause = "resume", .boot_id = "boot-1"});
  each(1u, 1u, book);
  each(1u, 1u, StepEnd{.ok = true, .codec = "typed", .value = kInRecord, .sealed = true});
  each(1u, 2u, StepStart{.kind = "wait", .name = "go", .args = "{\"type\":\"go\"}"});
  each(1u, 0u, Left{});
  each(1u, 0u, EventReceived{.id = "e-1", .type = "go", .value = kInRecord});
  each(1u, 2u, WaitMatched{.event = 16});
  each(1u, 2u, StepEnd{.ok = true, .codec = "json", .value = kInRecord});
  each(1u, 3u, Continued{.value = kInBlob});
  each(1u, 0u, RunAttempt{.n = 3, .epoch = 7, .cause = "start", .boot_id = "boot-1"});
  each(1u, 4u, Value{.kind = "db.get", .name = "k", .args_fp = "ff", .value = kInRecord});
  each(1u, 0u, CancelRequested{.rollback = true});
  each(1u, 5u, Value{.kind = "rollback", .name = "cancelled", .args_fp = "", .value = kInRecord});
  each(1u, 0u, RunEnded{.status = "cancelled", .codec = "typed", .value = kInBlob});
  each(2u, 0u,
       RunCreated{.run_id = "run_2_0011223344556677",
                  .method = "trip",
                  .params = "{}",
                  .agent_digest = "sha256-bb",
                  .created_ns = 1'700'000'000'000'000'002});
  each(2u, 0u, ForkedFrom{.run_id = "run_1_0011223344556677", .ordinal = 5});
  each(0u, 0u, Trim{.first_kept = 1, .first_run = 1, .setup_done = true});
  each(0u, 0u, Event{.type = "cell.paused", .data = "{}"});
  each(2u, 0u,
       Carried{.run_id = "run_2_0011223344556677",
               .method = "trip",
               .value = kInBlob,
               .agent_digest = "sha256-bb",
               .agent_language = "python",
               .idem_key = "key-2",
               .started_ns = 1'700'000'000'001'000'000,
               .attempt = 4,
               .generation = 3,
               .llm_tokens = 1200,
               .forked_run = "run_1_0011223344556677",
               .forked_ordinal = 5,
               .known_events = std::string(32, '\xe5')});
  each(2u, 6u, Continued{.value = kInRecord});
}

template <typename ForEvery>
void check_written(const std::string& file, ForEvery for_every) {
  Writer writer;
  for_every([&](auto run, auto ordinal, const auto& body) { writer.add(run, ordinal, body); });
  const std::string text = to_golden(writer.segment());
  if (std::getenv("CELLAR_UPDATE_GOLDEN") != nullptr) sys::replace_file(file, text, 0644);
  CHECK(sys::read_file(file) == text);
}

std::vector<Record> read_golden(const std::string& file) {
  SimStorage storage;
  storage.put(kFirst, from_golden(sys::read_file(file).value()));
  std::vector<Record> records;
  const Journal journal(storage, kSmall, [&](const Record& record) { records.push_back(record); });
  return records;
}

template <typename ForEvery>
void check_read(const std::vector<Record>& records, ForEvery for_every) {
  std::size_t i = 0;
  for_every([&](auto run, auto ordinal, const auto& body) {
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
}

// "type: member member …", a line each.
using Members = std::map<std::string, std::set<std::string>, std::less<>>;
std::string to_text(const Members& members) {
  std::string text;
  for (const auto& [type, names] : members) {
    text += type + ":";
    for (const std::string& name : names) text += " " + name;
    text += "\n";
  }
  return text;
}

// As records.h declares them: what stands between `kType = Type::…` and flags().
Members declared_members() {
  constexpr std::string_view kBegin = "kType = Type::";
  Members members;
  std::string type;
  const std::string text = sys::read_file(kFolder + "/../records.h").value();
  for (const std::string_view line : split(text, '\n')) {
    const std::string_view code = line.substr(0, std::min(line.find(';'), line.find("//")));
    if (const auto at = code.find(kBegin); at != code.npos) {
      type = code.substr(at + kBegin.size());
      members[type];
    } else if (code.find("flags()") != code.npos) {
      type.clear();
    } else if (!type.empty() && code.size() < line.size() && code.rfind(' ') > 1 &&
               code.find("constexpr") == code.npos) {
      const std::string_view declared = code.substr(0, code.find(" ="));
      members[type].emplace(declared.substr(declared.rfind(' ') + 1));
    }
  }
  return members;
}

// As docs/internals/journal.md lists them: | number | `type` | `member` …, `member` … |.
Members described_members() {
  Members members;
  const std::string page = sys::read_file(kFolder + "/../../../docs/internals/journal.md").value();
  for (const std::string_view line : split(page, '\n')) {
    const auto cells = split(line, '|');
    if (cells.size() != 5 || !trim(cells[2]).starts_with('`')) continue;
    const auto number = parse_int(trim(cells[1]));
    if (!number) continue;
    const std::string type(to_string(static_cast<Type>(*number)));
    CHECK(cells[2].find("`" + type + "`") != cells[2].npos);
    members[type];
    for (const std::string_view member : split(cells[3], ',')) {
      if (trim(member).starts_with('`')) members[type].emplace(split(member, '`')[1]);
    }
  }
  return members;
}

}  // namespace

TEST_CASE("journals with every type of record and every member are written as version 1 did") {
  check_written(kEveryType, [](auto each) { for_every_record(each); });
  check_written(kRuns, [](auto each) { for_every_record_of_runs(each); });
}

TEST_CASE("the journals that version 1 wrote are read, with every member") {
  const std::vector<Record> records = read_golden(kEveryType);
  check_read(records, [](auto each) { for_every_record(each); });
  check_read(read_golden(kRuns), [](auto each) { for_every_record_of_runs(each); });
  for (std::uint16_t number = 0; number < 100; ++number) {
    const auto type = static_cast<Type>(number);
    const bool is_there = std::any_of(records.begin(), records.end(),
                                      [&](const Record& record) { return record.type == type; });
    CAPTURE(number);
    CHECK(is_there == is_known(type));
  }
}

TEST_CASE("the page about the journal has each type of record with its members") {
  CHECK(to_text(described_members()) == to_text(declared_members()));
}

TEST_CASE("no record type has a member that the journals of version 1 do not have") {
  Members found;
  for (const std::string& file : {kEveryType, kRuns}) {
    for (const Record& record : read_golden(file)) {
      const auto body = cbor::decode(record.body).value();
      for (const auto& [key, value] : *body.as<cbor::Map>()) {
        found[std::string(to_string(record.type))].insert(key == "blob" ? "value" : key);
      }
      found[std::string(to_string(record.type))];
    }
  }
  const Members declared = declared_members();
  CHECK(declared.at("step_start").contains("sensitive"));
  CHECK(to_text(declared) == to_text(found));
}

}  // namespace cellar::journal
