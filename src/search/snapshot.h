#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"

// The bytes of an index on disk (docs/internals/search.md, "Snapshot"): a header, then numbers,
// lists and texts one after the other, little-endian, with nothing between them, then a checksum.
namespace cellar::search {

// Raised when anything changes that an index holds for a text: how it is cut, its words, vectors,
// symbols. Older snapshots are not read any more.
inline constexpr std::uint32_t kSnapshotVersion = 2;

// What can be copied as it lies in memory.
template <typename T>
concept SnapshotItem = std::has_unique_object_representations_v<T> || std::is_same_v<T, float>;
static_assert(std::endian::native == std::endian::little, "lists are copied as they are");

// A list of a snapshot, read where it lies: it is not aligned.
template <SnapshotItem T>
class SnapshotList {
 public:
  SnapshotList() = default;
  explicit SnapshotList(std::string_view bytes) : bytes_(bytes) {}

  std::size_t size() const noexcept { return bytes_.size() / sizeof(T); }
  T operator[](std::size_t i) const noexcept {
    T item;
    std::memcpy(&item, bytes_.data() + i * sizeof(T), sizeof(T));
    return item;
  }

 private:
  std::string_view bytes_;
};

// Takes the bytes, piece by piece.
using SnapshotSink = std::function<void(std::string_view bytes)>;

// Not thread-safe.
class SnapshotWriter {
 public:
  explicit SnapshotWriter(const SnapshotSink& sink);

  template <std::unsigned_integral T>
  void number(T value) {
    put_le(bytes_, value);
  }
  void text(std::string_view text) {
    begin_text(text.size());
    add(text);
  }
  template <SnapshotItem T>
  void list(const std::vector<T>& items) {
    text({reinterpret_cast<const char*>(items.data()), items.size() * sizeof(T)});
  }
  // A text of several pieces, which have `size` bytes in all.
  void begin_text(std::size_t size) { number(std::uint64_t{size}); }
  void add(std::string_view piece);

  // Nothing comes after that.
  void finish();

 private:
  void flush();

  const SnapshotSink& sink_;
  std::string bytes_;  // that the sink does not have yet
  std::uint32_t checksum_ = 0;
};

// Reads what a SnapshotWriter wrote. Whatever the bytes are, nothing is read beyond them: each call
// throws Error `corrupt` where they end or do not fit. Not thread-safe.
class SnapshotReader {
 public:
  // Checks the header and the checksum. `bytes` must outlive it.
  explicit SnapshotReader(std::string_view bytes);

  template <std::unsigned_integral T>
  T number() {
    return get_le<T>(take(sizeof(T)), 0);
  }
  // Valid as long as the bytes are.
  std::string_view text();
  template <SnapshotItem T>
  SnapshotList<T> list_in_place() {
    const std::string_view bytes = text();
    require(bytes.size() % sizeof(T) == 0, "a list");
    return SnapshotList<T>(bytes);
  }
  template <SnapshotItem T>
  std::vector<T> list() {
    const auto saved = list_in_place<T>();
    std::vector<T> items(saved.size());
    for (std::size_t i = 0; i < items.size(); ++i) items[i] = saved[i];
    return items;
  }
  // As many items as there can be of at least `size` bytes each, of `count` that are announced.
  std::size_t possible_count(std::size_t count, std::size_t size) const noexcept {
    return std::min(count, rest_.size() / size);
  }
  void finish() const { require(rest_.empty(), "the end"); }

  // Throws Error `corrupt`, naming `what`, unless it holds.
  static void require(bool holds, std::string_view what) {
    if (!holds) refuse(what);
  }

 private:
  [[noreturn]] static void refuse(std::string_view what);
  std::string_view take(std::size_t size) {
    require(size <= rest_.size(), "its length");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

namespace snapshot {
// Makes the checksum fit what is before it: for tests of what it guards.
void sign(std::string& bytes);
}  // namespace snapshot

}  // namespace cellar::search
