#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

  std::uint32_t living_count() const noexcept { return living_count_; }
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
  void append(TermId term, DocId doc, std::uint32_t count);

  float k1_;
  float b_;
  std::vector<std::uint32_t> list_of_term_;  // Index in lists_ plus 1; 0 is none.
  std::vector<List> lists_;
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
}  // namespace bm25

template <typename Visit>
void Bm25Field::visit(TermId term, const Visit& visit) const {
  if (term >= list_of_term_.size() || list_of_term_[term] == 0) return;
  const std::string& bytes = lists_[list_of_term_[term] - 1].bytes;
  DocId doc = 0;
  for (const char *at = bytes.data(), *end = at + bytes.size(); at < end;) {
    doc += bm25::read_varint(at);
    const std::uint32_t count = bm25::read_varint(at);
    if (lengths_[doc] != 0) visit(doc, count);
  }
}

}  // namespace cellar::search
