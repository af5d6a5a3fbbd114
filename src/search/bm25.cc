#include "search/bm25.h"

#include <cmath>

#include "base/check.h"

namespace cellar::search {
namespace {

constexpr std::size_t kVarintBytesMax = 5;

// Writes one varint and moves `at` behind it.
void put_varint(char*& at, std::uint32_t value) noexcept {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
}

}  // namespace

void Bm25Field::append(TermId term, DocId doc, std::uint32_t count) {
  if (term >= list_of_term_.size()) list_of_term_.resize(term + 1 + term / 4);
  std::uint32_t& index = list_of_term_[term];
  if (index == 0) {
    List list{std::string(postings_of(term))};
    for_each_posting(list.bytes, [&](DocId saved, std::uint32_t) { list.last = saved; });
    list_bytes_ += bytes_beside(list.bytes);
    lists_.push_back(std::move(list));
    index = static_cast<std::uint32_t>(lists_.size());
  }
  List& list = lists_[index - 1];
  char bytes[2 * kVarintBytesMax];
  char* end = bytes;
  put_varint(end, doc - list.last);
  put_varint(end, count);
  list_bytes_ -= bytes_beside(list.bytes);
  list.bytes.append(bytes, static_cast<std::size_t>(end - bytes));
  list_bytes_ += bytes_beside(list.bytes);
  list.last = doc;
}

void Bm25Field::add(DocId doc, const std::vector<TermCount>& counts) {
  CELLAR_CHECK(doc >= lengths_.size());
  lengths_.resize(doc + 1);
  if (counts.empty()) return;
  for (const auto& [term, count] : counts) {
    append(term, doc, count);
    lengths_[doc] += count;
  }
  ++living_count_;
  living_length_ += lengths_[doc];
}

void Bm25Field::remove(DocId doc) noexcept {
  if (doc >= lengths_.size() || lengths_[doc] == 0) return;
  --living_count_;
  living_length_ -= lengths_[doc];
  lengths_[doc] = 0;
}

void Bm25Field::score(const std::vector<TermId>& terms, std::vector<float>& scores) const {
  if (living_count_ == 0) return;
  const float average = static_cast<float>(living_length_) / static_cast<float>(living_count_);
  for (const TermId term : terms) {
    std::uint32_t df = 0;
    visit(term, [&](DocId, std::uint32_t) { ++df; });
    if (df == 0) continue;
    const auto n = static_cast<float>(living_count_);
    const float idf =
        std::log(1 + (n - static_cast<float>(df) + .5F) / (static_cast<float>(df) + .5F));
    visit(term, [&](DocId doc, std::uint32_t count) {
      const auto tf = static_cast<float>(count);
      const float length = static_cast<float>(lengths_[doc]) / average;
      scores[doc] += idf * tf * (k1_ + 1) / (tf + k1_ * (1 - b_ + b_ * length));
    });
  }
}

void Bm25Field::mark_living_terms(std::vector<bool>& keep) const {
  for (TermId term = 0; term < term_bound(); ++term) {
    visit(term, [&](DocId, std::uint32_t) { keep[term] = true; });
  }
}

void Bm25Field::compact(const std::vector<DocId>& docs, const std::vector<TermId>& terms) {
  Bm25Field kept(k1_, b_);
  for (TermId term = 0; term < term_bound() && term < terms.size(); ++term) {
    visit(term,
          [&](DocId doc, std::uint32_t count) { kept.append(terms[term], docs[doc], count); });
  }
  for (DocId doc = 0; doc < lengths_.size(); ++doc) {
    if (lengths_[doc] == 0) continue;
    kept.lengths_.resize(docs[doc] + 1);
    kept.lengths_[docs[doc]] = lengths_[doc];
  }
  kept.living_count_ = living_count_;
  kept.living_length_ = living_length_;
  *this = std::move(kept);
}

std::string_view Bm25Field::postings_of(TermId term) const noexcept {
  if (term < list_of_term_.size() && list_of_term_[term] != 0) {
    return lists_[list_of_term_[term] - 1].bytes;
  }
  if (term >= saved_ends_.size()) return {};
  const std::uint32_t begin = term == 0 ? 0 : saved_ends_[term - 1];
  return saved_postings_.substr(begin, saved_ends_[term] - begin);
}

void Bm25Field::save(SnapshotWriter& out, std::size_t term_count) const {
  std::vector<std::uint32_t> ends(term_count);
  std::uint32_t end = 0;
  for (TermId term = 0; term < term_count; ++term) {
    ends[term] = end += static_cast<std::uint32_t>(postings_of(term).size());
  }
  out.list(ends);
  out.begin_text(end);
  for (TermId term = 0; term < term_count; ++term) out.add(postings_of(term));
  out.list(lengths_);
}

void Bm25Field::load(SnapshotReader& in, std::size_t doc_count, std::size_t term_count) {
  saved_ends_ = in.list_in_place<std::uint32_t>();
  saved_postings_ = in.text();
  lengths_ = in.list<std::uint32_t>();
  in.require(saved_ends_.size() == term_count && lengths_.size() <= doc_count, "a field");
  std::uint32_t begin = 0;
  for (TermId term = 0; term < term_count; ++term) {
    const std::uint32_t end = saved_ends_[term];
    in.require(begin <= end && end <= saved_postings_.size(), "the end of a term's postings");
    in.require(is_sound(saved_postings_.substr(begin, end - begin)), "a term's postings");
    begin = end;
  }
  for (const std::uint32_t length : lengths_) {
    living_count_ += length != 0 ? 1 : 0;
    living_length_ += length;
  }
}

// Whether they can be read to their end, and their documents grow and are in the field.
bool Bm25Field::is_sound(std::string_view postings) const noexcept {
  const char* at = postings.data();
  const char* const end = at + postings.size();
  std::uint64_t doc = 0;
  for (bool first = true; at < end; first = false) {
    const auto difference = bm25::find_varint(at, end);
    const auto count = bm25::find_varint(at, end);
    if (!difference || !count || *count == 0 || (*difference == 0 && !first)) return false;
    doc += *difference;
    if (doc >= lengths_.size()) return false;
  }
  return true;
}

std::size_t Bm25Field::memory_bytes() const noexcept {
  return list_of_term_.capacity() * sizeof(std::uint32_t) + lists_.capacity() * sizeof(List) +
         list_bytes_ + lengths_.capacity() * sizeof(std::uint32_t);
}

}  // namespace cellar::search
