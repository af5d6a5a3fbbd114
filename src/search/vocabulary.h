#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "search/model.h"
#include "search/snapshot.h"

namespace cellar::search {

// One place of a hash table of strings.
struct StringSlot {
  std::uint32_t id_plus_1 = 0;  // 0 is an empty slot.
  std::uint32_t tag = 0;        // High bits of the hash, to compare few strings.
};

// The strings of a StringTable in a snapshot, used where they lie. Not thread-safe.
class SavedStrings {
 public:
  SavedStrings() = default;
  // Throws Error `corrupt`. The snapshot's bytes must outlive it.
  explicit SavedStrings(SnapshotReader& in);

  std::optional<std::uint32_t> find(std::string_view text) const noexcept;
  std::string_view text(std::uint32_t id) const noexcept {
    return pool_.substr(begins_[id], begins_[id + 1] - begins_[id]);
  }
  std::uint32_t size() const noexcept { return size_; }
  std::string_view pool() const noexcept { return pool_; }
  // Where it begins in the pool; that of size() is the pool's end.
  std::uint32_t begin_of(std::uint32_t id) const noexcept { return begins_[id]; }
  std::uint64_t seed() const noexcept { return seed_; }

 private:
  std::uint32_t size_ = 0;
  std::uint64_t seed_ = 0;
  std::string_view pool_;
  SnapshotList<std::uint32_t> begins_;
  SnapshotList<StringSlot> slots_;
};

// Numbers strings: the first is 0, the next 1, …. A hash table whose seed is secret, so that a
// hostile file cannot be made of words that collide. Not thread-safe.
class StringTable {
 public:
  StringTable();
  // With what was saved; new strings come after it.
  explicit StringTable(const SavedStrings& saved);

  std::uint32_t intern(std::string_view text);
  std::optional<std::uint32_t> find(std::string_view text) const noexcept;
  // Valid until the next intern().
  std::string_view text(std::uint32_t id) const noexcept {
    return id < saved_.size() ? saved_.text(id) : own_text(id - saved_.size());
  }
  std::uint32_t size() const noexcept {
    return saved_.size() + static_cast<std::uint32_t>(begins_.size() - 1);
  }
  // Beside what lies in a snapshot.
  std::size_t memory_bytes() const noexcept;

  // Appends every string that holds `part`, which is not empty, or ends with it.
  enum class Where : std::uint8_t { anywhere, at_end };
  void find_holding(std::string_view part, Where where, std::vector<std::uint32_t>& out) const;

  void save(SnapshotWriter& out) const;

 private:
  std::string_view own_text(std::uint32_t index) const noexcept {
    return {pool_.data() + begins_[index], begins_[index + 1] - begins_[index]};
  }
  void grow();

  SavedStrings saved_;
  std::uint64_t seed_;
  std::vector<StringSlot> slots_;  // Of its own strings, which count from 0.
  std::string pool_;
  std::vector<std::uint32_t> begins_;
};

using TermId = std::uint32_t;

// A text taken apart, once for both ways to search: its terms, and the rows of the model for the
// parts of its identifiers.
struct Words {
  std::vector<TermId> terms;
  std::vector<RowId> rows;

  void clear() {
    terms.clear();
    rows.clear();
  }
};

// Appends the model's rows for the parts of an identifier.
void append_rows_of(std::string_view identifier, std::vector<RowId>& out);

// The terms of an index: stemmed parts of identifiers, and whole identifiers of several parts.
// Not thread-safe.
class Vocabulary {
 public:
  // Appends the words of every identifier in `text` to `out`, numbering new terms. Returns how many
  // identifiers are too long to be words.
  std::size_t add(std::string_view text, Words& out);
  // Appends the terms only, of a text that must not change the vocabulary: unknown ones are left
  // out.
  void find(std::string_view text, std::vector<TermId>& out) const;
  // A text in which `part` stands, within a run of word bytes, has one of the terms that this
  // appends, unless an identifier was left out. `part` is lower-case ASCII; the text may be any
  // that becomes it as those of Regex::atoms() do. False where it says too little to look for it.
  static constexpr std::size_t kPartBytesMin = 3;
  bool find_holding(std::string_view part, std::vector<TermId>& out) const;

  std::uint32_t size() const noexcept { return terms_.size(); }
  // Beside what lies in a snapshot.
  std::size_t memory_bytes() const noexcept;

  // Keeps the terms with keep[id], numbered anew in their old order. Returns the new number of
  // each old term; kNoTerm for those that are gone.
  static constexpr TermId kNoTerm = 0xFFFFFFFF;
  std::vector<TermId> compact(const std::vector<bool>& keep);

  void save(SnapshotWriter& out) const { terms_.save(out); }
  // Into an empty vocabulary, which uses the snapshot's bytes as long as it lives. Throws Error
  // `corrupt`.
  void load(SnapshotReader& in) { terms_ = StringTable(SavedStrings(in)); }

 private:
  void learn(std::string_view identifier);
  void forget_identifiers();

  // Code repeats its identifiers: their terms are worked out once, for at most this many.
  static constexpr std::uint32_t kKnownIdentifiersMax = 1 << 17;

  StringTable terms_;
  StringTable identifiers_;
  std::vector<std::uint32_t> term_begins_ = {0};  // Per identifier, into identifier_terms_.
  std::vector<TermId> identifier_terms_;
  std::vector<std::uint32_t> row_begins_ = {0};  // Per identifier, into identifier_rows_.
  std::vector<RowId> identifier_rows_;
};

}  // namespace cellar::search
