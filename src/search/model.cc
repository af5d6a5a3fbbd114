#include "search/model.h"

#include <algorithm>
#include <bit>

static_assert(std::endian::native == std::endian::little, "the model's files are little-endian");

// model_data.cc. The words are what cmake/hash_words.py writes: kSlotCount numbers of two bytes (a
// word's row plus 1, 0 where none is), kWordCount + 1 offsets of four bytes, and the letters.
extern "C" const unsigned char cellar_model_words[];
extern "C" const std::int8_t cellar_model_rows[];
extern "C" const float cellar_model_scales[];

namespace cellar::search::model {
namespace {

constexpr std::uint32_t kSlotCount = 1 << 16;
constexpr std::size_t kWordBytesMax = 24;

std::optional<RowId> find_hashed(std::string_view wanted, std::uint32_t hash) noexcept {
  const auto* slots = reinterpret_cast<const RowId*>(cellar_model_words);
  for (std::uint32_t at = hash % kSlotCount; slots[at] != 0; at = (at + 1) % kSlotCount) {
    const auto id = static_cast<RowId>(slots[at] - 1);
    if (word(id) == wanted) return id;
  }
  return std::nullopt;
}

// The longest known word that `text` starts with and that has at least `bytes_min` letters.
std::optional<RowId> longest_at_start(std::string_view text, std::size_t bytes_min) noexcept {
  constexpr std::uint32_t kFnvBasis = 0x811C9DC5;
  constexpr std::uint32_t kFnvPrime = 0x01000193;
  std::optional<RowId> longest;
  std::uint32_t hash = kFnvBasis;
  for (std::size_t size = 1; size <= std::min(text.size(), kWordBytesMax); ++size) {
    hash = (hash ^ static_cast<unsigned char>(text[size - 1])) * kFnvPrime;
    if (size < bytes_min) continue;
    if (const auto id = find_hashed(text.substr(0, size), hash)) longest = id;
  }
  return longest;
}

}  // namespace

std::optional<RowId> find(std::string_view wanted) noexcept {
  return wanted.empty() ? std::nullopt : longest_at_start(wanted, wanted.size());
}

void append_rows(std::string_view wanted, std::vector<RowId>& out) {
  constexpr std::size_t kPieceBytesMin = 3;
  if (const auto id = find(wanted)) {
    out.push_back(*id);
    return;
  }
  while (wanted.size() >= kPieceBytesMin) {
    const auto id = longest_at_start(wanted, kPieceBytesMin);
    if (id) out.push_back(*id);
    wanted.remove_prefix(id ? word(*id).size() : 1);
  }
}

std::string_view word(RowId id) noexcept {
  const auto* offsets =
      reinterpret_cast<const std::uint32_t*>(cellar_model_words + kSlotCount * sizeof(RowId));
  const auto* letters = reinterpret_cast<const char*>(offsets + kWordCount + 1);
  return {letters + offsets[id], offsets[id + 1] - offsets[id]};
}

const std::int8_t* row(RowId id) noexcept {
  return cellar_model_rows + std::size_t{id} * kDimensions;
}

float scale_of(RowId id) noexcept { return cellar_model_scales[id]; }

}  // namespace cellar::search::model
