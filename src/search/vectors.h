#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "search/bm25.h"
#include "search/dot.h"
#include "search/model.h"
#include "search/snapshot.h"
#include "search/tally.h"

namespace cellar::search {

// What a text is about: a direction, each of its numbers an integer of eight bits times `scale`.
// One without any word that the model knows is all zero, and its scale is, too.
struct Vector {
  std::array<std::int8_t, kDimensions> values{};
  float scale = 0;
};

using RowCount = Count<RowId>;

// The direction of a text with these words: the sum of their rows, of length 1. The same on every
// machine.
Vector vector_of(const std::vector<RowCount>& counts);

// The vectors of documents, searched by looking at each of them. Not thread-safe; searches may run
// at the same time as each other.
class VectorField {
 public:
  explicit VectorField(Instructions instructions = best_instructions())
      : instructions_(instructions) {}

  // Adds a document; numbers only ever grow.
  void add(DocId doc, const Vector& vector);
  void remove(DocId doc) noexcept { scales_[doc] = 0; }
  // That of a living document.
  Vector get(DocId doc) const noexcept;

  struct Near {
    DocId doc;
    float cosine;
  };
  // The documents that point most nearly where the query does, at most `count`, nearest first.
  // None whose cosine is below `cosine_min`, which is above 0, and only those that are wanted.
  using Wanted = std::function<bool(DocId)>;
  std::vector<Near> nearest(const Vector& query, std::size_t count, float cosine_min,
                            const Wanted& is_wanted) const;

  // Drops what is dead. `docs` gives the new number, below `count`, of every old document that
  // lives.
  void compact(const std::vector<DocId>& docs, std::size_t count);

  // Beside what lies in a snapshot.
  std::size_t memory_bytes() const noexcept;

  void save(SnapshotWriter& out) const;
  // Into an empty field, which uses the snapshot's bytes as long as it lives. Throws Error
  // `corrupt` unless what comes is a field of `count` documents.
  void load(SnapshotReader& in, std::size_t count);
  bool has(DocId doc) const noexcept { return scales_[doc] != 0; }

 private:
  Instructions instructions_;
  const std::int8_t* values_of(DocId doc) const noexcept {
    const auto* saved = reinterpret_cast<const std::int8_t*>(saved_values_.data());
    return doc < saved_count_ ? saved + doc * kDimensions
                              : values_.data() + (doc - saved_count_) * kDimensions;
  }

  // kDimensions numbers for each document: those of a snapshot first.
  std::string_view saved_values_;
  std::size_t saved_count_ = 0;
  std::vector<std::int8_t> values_;
  std::vector<float> scales_;  // 0 is dead, or about nothing.
};

}  // namespace cellar::search
