#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "journal/journal.h"
#include "journal/sim_storage.h"

// A small language for the tests of this module.
namespace cellar::journal {

inline const Options kSmall = {
    .cell_id = "acme--user-1", .first_segment_bytes = 8192, .segment_bytes_max = 8192};

inline const Journal::Visit kIgnore = [](const Record&) {};

// Events, because nothing depends on what is in them.
inline RecordHead event_head(std::uint32_t run = 1) {
  return {.run = run, .ordinal = 7, .type = Type::event, .flags = kHint, .t_ns = 1'700'000'000};
}

inline Lsn append(Journal& journal, std::string_view body, std::uint32_t run = 1) {
  return journal.append(event_head(run), body);
}

inline void make_spare(Journal& journal, std::uint64_t more_bytes = 0) {
  const std::uint64_t bytes = journal.wanted_spare_bytes(more_bytes);
  if (bytes == 0) return;
  const std::uint64_t replaced = journal.leave_spare();
  try {
    journal.make_spare(bytes);
  } catch (...) {
    journal.spare_made(replaced);
    throw;
  }
  journal.spare_made(bytes);
}

// What the owner and its pool do for one batch.
inline void commit(Journal& journal) {
  if (!journal.has_room()) make_spare(journal);
  Batch batch = journal.seal();
  try {
    journal.write(batch);
  } catch (...) {
    journal.failed();
    throw;
  }
  journal.committed(std::move(batch));
}

inline void append_and_commit(Journal& journal, std::string_view body) {
  append(journal, body);
  commit(journal);
}

// The bodies of all records, as a reopen finds them.
inline std::vector<std::string> read_all(Storage& storage) {
  std::vector<std::string> bodies;
  const Journal journal(storage, kSmall,
                        [&](const Record& record) { bodies.push_back(record.body); });
  CHECK(journal.last_durable() == bodies.size());
  return bodies;
}

// The reason of the Error that opening throws, or "" where it does not.
inline std::string refusal_of(Storage& storage, const Options& options = kSmall) {
  try {
    const Journal journal(storage, options, kIgnore);
    return {};
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    return error.reason();
  }
}

inline const std::string kFirst = "00000000000000000001.seg";

}  // namespace cellar::journal
