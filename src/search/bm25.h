#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "search/snapshot.h"
#include "search/tally.h"
#include "search/vocabulary.h"

namespace cellar::search {

using DocId = std::uint32_t;

// How often one of a document's terms occurs in it.
using TermCount = Count<TermId>;

// One ranked field of documents: append-only postings and Okapi BM25 with Lucene's idf. Document
// frequencies and the average length are always those of the living documents. Not thread-safe.
class Bm25Field {
 public:
  Bm25Field(float k1, float b) : k1_(k1), b_(b) {}

  // Adds a document; numbers only ever grow. One without terms is no part of the field's counts.
  void add(DocId doc, const std::vector<TermCount>& counts);
  void remove(DocId doc) noexcept;

  // Adds each living document's score for `terms` (a repeated one counts again) to scores[doc],
  // which is as long as the greatest number in the field.
  void score(const std::vector<TermId>& terms, std::vector<float>& scores) const;

  // Calls `found(doc)` for each living document with the term.
  template <typename Found>
  void for_each_doc(TermId term, const Found& found) const {
    visit(term, [&](DocId doc, std::uint32_t) { found(doc); });
  }

  // Sets keep[term] for each term that a living document has.
  void mark_living_terms(std::vector<bool>& keep) const;
  // Drops what is dead. `docs` and `terms` give the new number of every old one that lives; they
  // keep the order.
  void compact(const std::vector<DocId>& docs, const std::vector<TermId>& terms);

  void save(SnapshotWriter& out, std::size_t term_count) const;
  // Into an empty field, which uses the snapshot's bytes as long as it lives. Throws Error
  // `corrupt` unless what comes is a field of as many terms and at most as many documents.
  void load(SnapshotReader& in, std::size_t doc_count, std::size_t term_count);
  bool has(DocId doc) const noexcept { return doc < lengths_.size() && lengths_[doc] != 0; }

  // Beside what lies in a snapshot.
  std::size_t memory_bytes() const noexcept;

 private:
  // A term's postings: document number (difference to the one before) and count as varints.
  // std::string keeps the many short lists in itself.
  struct List {
    std::string bytes;
    DocId last = 0;
  };

  template <typename Visit>
  void visit(TermId term, const Visit& visit) const;
  std::string_view postings_of(TermId term) const noexcept;
  // As many terms as may have postings.
  std::size_t term_bound() const noexcept {
    return std::max(list_of_term_.size(), saved_ends_.size());
  }
  bool is_sound(std::string_view postings) const noexcept;
  void append(TermId term, DocId doc, std::uint32_t count);
  static std::size_t bytes_beside(const std::string& string) noexcept {
    constexpr std::size_t kInString = 15;
    return string.capacity() > kInString ? string.capacity() : 0;
  }

  float k1_;
  float b_;
  // Of the terms that the snapshot had: where each one's postings end, and the postings. Those of a
  // term that got others since are in lists_.
  SnapshotList<std::uint32_t> saved_ends_;
  std::string_view saved_postings_;
  std::vector<std::uint32_t> list_of_term_;  // Index in lists_ plus 1; 0 is none.
  std::vector<List> lists_;
  std::size_t list_bytes_ = 0;          // of postings that are not in their string itself
  std::vector<std::uint32_t> lengths_;  // Per document, in terms; 0 is dead or not in the field.
  std::uint32_t living_count_ = 0;
  std::uint64_t living_length_ = 0;
};

namespace bm25 {
// Reads one varint and moves `at` behind it.
inline std::uint32_t read_varint(const char*& at) noexcept {
  std::uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

// The same where nobody knows whether one is there: nullopt where none ends before `end`, or where
// it is longer than one of ours.
inline std::optional<std::uint32_t> find_varint(const char*& at, const char* end) noexcept {
  constexpr int kShiftMax = 28;
  if (at < end && static_cast<unsigned char>(*at) < 0x80) return static_cast<unsigned char>(*at++);
  std::uint32_t value = 0;
  for (int shift = 0; at < end && shift <= kShiftMax; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}
}  // namespace bm25

// Calls `visit(doc, count)` for all that postings hold.
template <typename Visit>
void for_each_posting(std::string_view postings, const Visit& visit) {
  DocId doc = 0;
  for (const char *at = postings.data(), *end = at + postings.size(); at < end;) {
    doc += bm25::read_varint(at);
    const std::uint32_t count = bm25::read_varint(at);
    visit(doc, count);
  }
}

template <typename Visit>
void Bm25Field::visit(TermId term, const Visit& visit) const {
  for_each_posting(postings_of(term), [&](DocId doc, std::uint32_t count) {
    if (lengths_[doc] != 0) visit(doc, count);
  });
}

}  // namespace cellar::search
