#include "search/vocabulary.h"

#include <cstring>

#include "base/check.h"
#include "base/random.h"
#include "search/words.h"

namespace cellar::search {
namespace {

// The terms of one identifier: the stem of each part, and all of it if it has several.
template <typename Term>
void for_each_term_of(std::string_view identifier, const Term& term) {
  int parts = 0;
  std::string whole;
  for_each_part(identifier, [&](std::string_view part) {
    ++parts;
    whole.append(part);
    term(stem(part));
  });
  if (parts > 1) term(whole);
}

}  // namespace

void append_rows_of(std::string_view identifier, std::vector<RowId>& out) {
  for_each_part(identifier, [&](std::string_view part) { model::append_rows(part, out); });
}

StringTable::StringTable() : seed_(random_u64()), slots_(1024), begins_{0} {}

std::uint64_t StringTable::hash(std::string_view text) const noexcept {
  constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  std::uint64_t hash = seed_ ^ (text.size() * kMultiplier);
  while (!text.empty()) {
    std::uint64_t block = 0;
    const std::size_t size = text.size() < sizeof block ? text.size() : sizeof block;
    std::memcpy(&block, text.data(), size);
    hash = (hash ^ block) * kMultiplier;
    hash ^= hash >> 32;
    text.remove_prefix(size);
  }
  return hash * kMultiplier;
}

// The slot that holds `text`, or the empty one where it belongs.
std::size_t StringTable::slot_of(std::string_view wanted, std::uint32_t tag) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = tag & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id_plus_1 == 0) return at;
    if (slot.tag == tag && text(slot.id_plus_1 - 1) == wanted) return at;
  }
}

std::optional<std::uint32_t> StringTable::find(std::string_view wanted) const noexcept {
  const auto tag = static_cast<std::uint32_t>(hash(wanted) >> 32);
  const Slot& slot = slots_[slot_of(wanted, tag)];
  if (slot.id_plus_1 == 0) return std::nullopt;
  return slot.id_plus_1 - 1;
}

std::uint32_t StringTable::intern(std::string_view added) {
  const auto tag = static_cast<std::uint32_t>(hash(added) >> 32);
  Slot& slot = slots_[slot_of(added, tag)];
  if (slot.id_plus_1 != 0) return slot.id_plus_1 - 1;
  const std::uint32_t id = size();
  CELLAR_CHECK(pool_.size() + added.size() < 0xFFFFFFFF);
  pool_.append(added);
  begins_.push_back(static_cast<std::uint32_t>(pool_.size()));
  slot = {id + 1, tag};
  if (begins_.size() * 2 > slots_.size()) grow();
  return id;
}

void StringTable::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.id_plus_1 == 0) continue;
    std::size_t at = slot.tag & mask;
    while (slots_[at].id_plus_1 != 0) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

std::size_t StringTable::memory_bytes() const noexcept {
  return slots_.capacity() * sizeof(Slot) + pool_.capacity() +
         begins_.capacity() * sizeof(std::uint32_t);
}

void Vocabulary::add(std::string_view text, Words& out) {
  for_each_identifier(text, [&](std::string_view identifier) {
    if (identifiers_.size() == kKnownIdentifiersMax) forget_identifiers();
    const std::uint32_t known = identifiers_.size();
    const std::uint32_t id = identifiers_.intern(identifier);
    if (id == known) learn(identifier);
    // One by one: they are one to three, and insert() is made for many.
    for (std::uint32_t i = term_begins_[id]; i < term_begins_[id + 1]; ++i) {
      out.terms.push_back(identifier_terms_[i]);
    }
    for (std::uint32_t i = row_begins_[id]; i < row_begins_[id + 1]; ++i) {
      out.rows.push_back(identifier_rows_[i]);
    }
  });
}

void Vocabulary::learn(std::string_view identifier) {
  for_each_term_of(
      identifier, [&](std::string_view term) { identifier_terms_.push_back(terms_.intern(term)); });
  term_begins_.push_back(static_cast<std::uint32_t>(identifier_terms_.size()));
  append_rows_of(identifier, identifier_rows_);
  row_begins_.push_back(static_cast<std::uint32_t>(identifier_rows_.size()));
}

void Vocabulary::forget_identifiers() {
  identifiers_ = StringTable();
  term_begins_ = {0};
  identifier_terms_.clear();
  row_begins_ = {0};
  identifier_rows_.clear();
}

void Vocabulary::find(std::string_view text, std::vector<TermId>& out) const {
  for_each_identifier(text, [&](std::string_view identifier) {
    for_each_term_of(identifier, [&](std::string_view term) {
      if (const auto id = terms_.find(term)) out.push_back(*id);
    });
  });
}

std::vector<TermId> Vocabulary::compact(const std::vector<bool>& keep) {
  std::vector<TermId> renumbered(terms_.size(), kNoTerm);
  StringTable kept;
  for (TermId id = 0; id < terms_.size(); ++id) {
    if (id < keep.size() && keep[id]) renumbered[id] = kept.intern(terms_.text(id));
  }
  *this = Vocabulary();
  terms_ = std::move(kept);
  return renumbered;
}

std::size_t Vocabulary::memory_bytes() const noexcept {
  return terms_.memory_bytes() + identifiers_.memory_bytes() +
         (term_begins_.capacity() + row_begins_.capacity()) * sizeof(std::uint32_t) +
         identifier_terms_.capacity() * sizeof(TermId) +
         identifier_rows_.capacity() * sizeof(RowId);
}

}  // namespace cellar::search
