#include "search/vocabulary.h"

#include <algorithm>
#include <bit>
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

std::uint32_t tag_of(std::uint64_t seed, std::string_view text) noexcept {
  constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  std::uint64_t hash = seed ^ (text.size() * kMultiplier);
  while (!text.empty()) {
    std::uint64_t block = 0;
    const std::size_t size = text.size() < sizeof block ? text.size() : sizeof block;
    std::memcpy(&block, text.data(), size);
    hash = (hash ^ block) * kMultiplier;
    hash ^= hash >> 32;
    text.remove_prefix(size);
  }
  return static_cast<std::uint32_t>((hash * kMultiplier) >> 32);
}

// The slot that holds the string with this tag for which `is_it(index)` is true, or the empty one
// where it belongs.
template <typename Slots, typename IsIt>
std::size_t find_slot(const Slots& slots, std::uint32_t tag, const IsIt& is_it) noexcept {
  const std::size_t mask = slots.size() - 1;
  for (std::size_t at = tag & mask;; at = (at + 1) & mask) {
    const StringSlot slot = slots[at];
    if (slot.id_plus_1 == 0) return at;
    if (slot.tag == tag && is_it(slot.id_plus_1 - 1)) return at;
  }
}

constexpr std::size_t kSlotsMin = 64;

// The number of the text that the place in the pool belongs to, which is not before that of `id`.
template <typename BeginOf>
std::uint32_t text_at(std::size_t place, std::uint32_t id, std::uint32_t size,
                      const BeginOf& begin_of) {
  while (size - id > 1) {
    const std::uint32_t middle = id + (size - id) / 2;
    (begin_of(middle) <= place ? id : size) = middle;
  }
  return id;
}

// memmem() is the faster one unless the first byte is rare.
std::size_t find_bytes(std::string_view pool, std::string_view part, std::size_t from) {
  if (static_cast<unsigned char>(part[0]) >= 0x80) return pool.find(part, from);
  const void* hit = ::memmem(pool.data() + from, pool.size() - from, part.data(), part.size());
  return hit == nullptr ? pool.npos
                        : static_cast<std::size_t>(static_cast<const char*>(hit) - pool.data());
}

// Calls `found(id)` for each of the texts that hold `part` or end with it. They lie in `pool` one
// behind the other.
template <typename BeginOf, typename Found>
void search_pool(std::string_view pool, std::uint32_t size, const BeginOf& begin_of,
                 std::string_view part, StringTable::Where where, const Found& found) {
  std::uint32_t id = 0;
  for (std::size_t at = 0; at < pool.size();) {
    at = find_bytes(pool, part, at);
    if (at == pool.npos) return;
    id = text_at(at, id, size, begin_of);
    const std::size_t end = begin_of(id + 1);
    const bool inside = at + part.size() <= end;
    if (inside && where == StringTable::Where::at_end && at + part.size() < end) {
      at = end - part.size();  // No other place counts.
      if (pool.substr(at, part.size()) != part) at = end;
    }
    if (inside && at < end) found(id);
    at = end;
  }
}

}  // namespace

void append_rows_of(std::string_view identifier, std::vector<RowId>& out) {
  for_each_part(identifier, [&](std::string_view part) { model::append_rows(part, out); });
}

SavedStrings::SavedStrings(SnapshotReader& in) {
  begins_ = in.list_in_place<std::uint32_t>();
  pool_ = in.text();
  seed_ = in.number<std::uint64_t>();
  slots_ = in.list_in_place<StringSlot>();
  in.require(begins_.size() > 0 && begins_[0] == 0, "a table of texts");
  size_ = static_cast<std::uint32_t>(begins_.size() - 1);
  for (std::uint32_t id = 0; id < size_; ++id) {
    in.require(begins_[id] <= begins_[id + 1], "the end of a text");
  }
  in.require(begins_[size_] == pool_.size(), "the last text");
  // A search ends at an empty slot.
  std::size_t used_count = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    in.require(slots_[i].id_plus_1 <= size_, "a slot");
    used_count += slots_[i].id_plus_1 != 0 ? 1 : 0;
  }
  in.require(std::has_single_bit(slots_.size()) && used_count < slots_.size(), "the slots");
}

std::optional<std::uint32_t> SavedStrings::find(std::string_view wanted) const noexcept {
  if (size_ == 0) return std::nullopt;
  const std::uint32_t tag = tag_of(seed_, wanted);
  const auto is_it = [&](std::uint32_t id) { return text(id) == wanted; };
  const StringSlot slot = slots_[find_slot(slots_, tag, is_it)];
  return slot.id_plus_1 == 0 ? std::nullopt : std::optional(slot.id_plus_1 - 1);
}

StringTable::StringTable() : seed_(random_u64()), slots_(kSlotsMin), begins_{0} {}

StringTable::StringTable(const SavedStrings& saved)
    : saved_(saved), seed_(saved.seed()), slots_(kSlotsMin), begins_{0} {}

std::optional<std::uint32_t> StringTable::find(std::string_view wanted) const noexcept {
  if (const auto id = saved_.find(wanted)) return id;
  const auto is_it = [&](std::uint32_t index) { return own_text(index) == wanted; };
  const StringSlot& slot = slots_[find_slot(slots_, tag_of(seed_, wanted), is_it)];
  if (slot.id_plus_1 == 0) return std::nullopt;
  return saved_.size() + slot.id_plus_1 - 1;
}

std::uint32_t StringTable::intern(std::string_view added) {
  if (const auto id = saved_.find(added)) return *id;
  const std::uint32_t tag = tag_of(seed_, added);
  const auto is_it = [&](std::uint32_t index) { return own_text(index) == added; };
  StringSlot& slot = slots_[find_slot(slots_, tag, is_it)];
  if (slot.id_plus_1 != 0) return saved_.size() + slot.id_plus_1 - 1;
  const std::uint32_t id = size();
  CELLAR_CHECK(pool_.size() + added.size() < 0xFFFFFFFF);
  pool_.append(added);
  begins_.push_back(static_cast<std::uint32_t>(pool_.size()));
  slot = {static_cast<std::uint32_t>(begins_.size() - 1), tag};
  if (begins_.size() * 2 > slots_.size()) grow();
  return id;
}

void StringTable::find_holding(std::string_view part, Where where,
                               std::vector<std::uint32_t>& out) const {
  search_pool(
      saved_.pool(), saved_.size(), [&](std::uint32_t id) { return saved_.begin_of(id); }, part,
      where, [&](std::uint32_t id) { out.push_back(id); });
  search_pool(
      pool_, size() - saved_.size(), [&](std::uint32_t index) { return begins_[index]; }, part,
      where, [&](std::uint32_t index) { out.push_back(saved_.size() + index); });
}

void StringTable::grow() {
  std::vector<StringSlot> old(slots_.size() * 2);
  old.swap(slots_);
  const auto is_it = [](std::uint32_t) { return false; };
  for (const StringSlot& slot : old) {
    if (slot.id_plus_1 != 0) slots_[find_slot(slots_, slot.tag, is_it)] = slot;
  }
}

std::size_t StringTable::memory_bytes() const noexcept {
  return slots_.capacity() * sizeof(StringSlot) + pool_.capacity() +
         begins_.capacity() * sizeof(std::uint32_t);
}

// What was saved before and what came since, as one table.
void StringTable::save(SnapshotWriter& out) const {
  StringTable whole;
  whole.seed_ = seed_;
  for (std::uint32_t id = 0; id < size(); ++id) whole.intern(text(id));
  out.list(whole.begins_);
  out.text(whole.pool_);
  out.number(whole.seed_);
  out.list(whole.slots_);
}

std::size_t Vocabulary::add(std::string_view text, Words& out) {
  return for_each_identifier(text, [&](std::string_view identifier) {
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

bool Vocabulary::find_holding(std::string_view part, std::vector<TermId>& out) const {
  // Digits that an identifier begins with are no part of it, and no term has a '_'.
  std::string bare(part.substr(std::min(part.find_first_not_of("0123456789"), part.size())));
  std::erase(bare, '_');
  if (bare.size() < kPartBytesMin) return false;
  const std::vector<std::string> ends = stem_ends(bare);
  if (!ends.empty() && ends.front().empty()) return false;
  const std::size_t first = out.size();
  terms_.find_holding(bare, StringTable::Where::anywhere, out);
  for (const std::string& end : ends) terms_.find_holding(end, StringTable::Where::at_end, out);
  // The other characters whose lower case is ASCII: U+212A, the Kelvin sign, is k, and U+017F s.
  for (const char* character : {"\xE2\x84\xAA", "\xC5\xBF"}) {
    terms_.find_holding(character, StringTable::Where::anywhere, out);
  }
  const auto begin = out.begin() + static_cast<std::ptrdiff_t>(first);
  std::sort(begin, out.end());
  out.erase(std::unique(begin, out.end()), out.end());
  return true;
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
