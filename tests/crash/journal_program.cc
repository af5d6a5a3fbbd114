#include "journal_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/sha256.h"

namespace cellar::crash {
namespace {

constexpr std::size_t kBatchesMax = 9;
constexpr std::size_t kRecordsMax = 3;  // in a batch

// What put_blob() and Journal::store() make of a value.
journal::Payload payload_of(const Value& value) {
  journal::Payload payload;
  if (value.in_blob) {
    payload.blob = {.digest = sha256_hex(value.bytes), .size_bytes = value.bytes.size()};
  } else {
    payload.bytes = value.bytes;
  }
  return payload;
}

journal::StepEnd record_of(const Value& value) { return {.ok = true, .value = payload_of(value)}; }

// Many small ones, some that fill sectors, a few that do not fit into what is left of a segment.
Value make_value(Random& random, std::size_t number) {
  const std::size_t kind = pick(random, 10);
  const std::size_t size = kind < 6   ? pick(random, 60)
                           : kind < 9 ? pick(random, 1200)
                                      : 1500 + pick(random, 2500);
  Value value;
  value.bytes = fmt::format("{}:", number);
  value.bytes.append(size, static_cast<char>('a' + number % 26));
  value.in_blob = pick(random, 12) == 0;
  return value;
}

void make_spare(journal::Journal& journal) {
  const std::uint64_t bytes = journal.wanted_spare_bytes();
  if (bytes == 0) return;
  journal.make_spare(bytes);
  journal.spare_made(bytes);
}

void commit(journal::Journal& journal) {
  if (!journal.has_room()) make_spare(journal);
  journal::Batch batch = journal.seal();
  try {
    journal.write(batch);
  } catch (...) {
    journal.failed();
    throw;
  }
  journal.committed(std::move(batch));
}

std::string append(journal::Journal& journal, const Value& value) {
  if (value.in_blob) journal.put_blob(value.bytes);
  const journal::StepEnd record = record_of(value);
  journal.append(1, 1, record);
  return record.encode();
}

// Lets the older half go, as far as segments end there.
void trim_half(journal::Journal& journal, const OnBatch& appended) {
  const journal::Lsn middle = (journal.first() + journal.last_durable() + 1) / 2;
  journal::Trim trim;
  trim.first_kept = journal.segment_begin(middle);
  if (!journal.may_trim() || trim.first_kept == journal.first()) return;
  journal.append(0, 0, trim);
  appended({trim.encode()});
  commit(journal);
  journal.remove(journal.trim(trim.first_kept));
}

// A disk that works again does not mend a journal that it failed once.
void require_refusal(journal::Journal& journal) {
  try {
    append(journal, {.bytes = "never"});
  } catch (const Error&) {
    return;
  }
  throw Broken{"a journal takes records after a write that failed"};
}

}  // namespace

Program make_program(Random& random) {
  Program program;
  program.options.cell_id = "acme--user-1";
  program.options.first_segment_bytes = 8192;
  program.options.segment_bytes_max = pick(random, 4) == 0 ? 32768 : 8192;
  program.sector_bytes = pick(random, 2) == 0 ? 512 : 4096;
  program.makes_spares = pick(random, 2) == 0;
  program.trims = pick(random, 2) == 0;
  program.batches.resize(2 + pick(random, kBatchesMax - 1));
  std::size_t number = 0;
  std::optional<Value> blob;
  for (std::vector<Value>& batch : program.batches) {
    const std::size_t count = 1 + pick(random, kRecordsMax);
    for (std::size_t i = 0; i < count; ++i) {
      Value value = make_value(random, ++number);
      if (value.in_blob && blob && pick(random, 2) == 0) value = *blob;  // Named once more.
      if (value.in_blob) blob = value;
      batch.push_back(std::move(value));
    }
  }
  return program;
}

// Where segments end, which a trim depends on, is the same on every disk, as far as it works.
Expected::Expected(const Program& program) : options_(program.options), ends_{0} {
  journal::SimStorage disk(program.sector_bytes);
  run(program, disk, [this](const std::vector<std::string>& bodies) {
    bodies_.insert(bodies_.end(), bodies.begin(), bodies.end());
    ends_.push_back(bodies_.size());
  });
}

void Expected::cut(std::size_t count) {
  bodies_.resize(count);
  while (ends_.back() > count) ends_.pop_back();
}

void Expected::add(const std::string& value) {
  bodies_.push_back(record_of({.bytes = value}).encode());
  ends_.push_back(bodies_.size());
}

std::size_t Expected::read(journal::SimStorage& disk, std::size_t acknowledged,
                           std::string_view damaged_blob) const {
  std::size_t count = 0;
  journal::Lsn first_kept = 1;
  const auto visit = [&](const journal::Record& record) {
    if (count == 0) count = record.lsn - 1;
    if (count == bodies_.size()) throw Broken{"there are more records than were appended"};
    if (record.body != bodies_[count] || record.lsn != count + 1) {
      throw Broken{fmt::format("record {} is not what was appended", count + 1)};
    }
    ++count;
    if (record.type != journal::Type::trim) return;
    first_kept = journal::Trim::decode(record.body)->first_kept;
  };
  const journal::Journal journal(disk, options_, visit);
  if (count > 0 && journal.first() != first_kept) {
    throw Broken{fmt::format("it begins with record {}, not {}", journal.first(), first_kept)};
  }
  if (count < acknowledged) {
    throw Broken{
        fmt::format("{} of {} acknowledged records are lost", acknowledged - count, acknowledged)};
  }
  if (!std::binary_search(ends_.begin(), ends_.end(), count)) {
    throw Broken{fmt::format("a batch is there in part: {} records", count)};
  }
  check_blobs(disk, journal, damaged_blob);
  return count;
}

void Expected::check_blobs(const journal::SimStorage& disk, const journal::Journal& journal,
                           std::string_view damaged) const {
  std::set<std::string> named;
  for (journal::Lsn lsn = journal.first(); lsn <= journal.last_durable(); ++lsn) {
    const journal::Record record = journal.read(lsn);
    if ((record.flags & journal::kBlob) == 0) continue;
    const journal::Payload blob = journal::StepEnd::decode(record.body)->value;
    named.insert(blob.blob->digest);
    const bool is_damaged = blob.blob->digest == damaged;
    try {
      journal.load(blob);
      if (is_damaged) throw Broken{"a blob that is damaged is given"};
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      if (is_damaged) continue;
      throw Broken{std::string("a record names a blob that is not there: ") + error.what()};
    }
  }
  for (const std::string& shelf : disk.list_folders("blobs")) {
    for (const std::string& digest : disk.list("blobs/" + shelf)) {
      if (!journal.may_trim() || named.contains(digest)) continue;  // Its removal failed.
      throw Broken{"there is a blob that no record names: " + digest};
    }
  }
}

std::size_t run(const Program& program, journal::SimStorage& disk, const OnBatch& appended) {
  const OnBatch tell = appended ? appended : [](const std::vector<std::string>&) {};
  std::size_t batch_count = 0;
  std::size_t acknowledged = 0;
  std::optional<journal::Journal> journal;
  try {
    journal.emplace(disk, program.options, [](const journal::Record&) {});
    for (const std::vector<Value>& batch : program.batches) {
      std::vector<std::string> bodies;
      for (const Value& value : batch) bodies.push_back(append(*journal, value));
      tell(bodies);
      commit(*journal);
      acknowledged = journal->last_durable();
      if (program.trims && ++batch_count % 3 == 0) trim_half(*journal, tell);
      if (program.makes_spares) make_spare(*journal);
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::corrupt) throw Broken{error.what()};
    if (journal && journal->is_broken()) require_refusal(*journal);
  }
  return acknowledged;
}

void append_one(const Program& program, journal::SimStorage& disk, const std::string& value) {
  journal::Journal journal(disk, program.options, [](const journal::Record&) {});
  append(journal, {.bytes = value});
  commit(journal);
}

}  // namespace cellar::crash
