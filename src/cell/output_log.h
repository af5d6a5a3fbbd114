#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace cellar::cell {

// The newest of what a process wrote, each byte with its place: the number of bytes, of both
// streams, that came before it. Those that are too old are forgotten. A value; not thread-safe.
class OutputLog {
 public:
  enum class Stream : std::uint8_t { out, err };

  static constexpr std::size_t kPieceBytesMax = 64 << 10;
  // Changes from one stream to the other that are remembered; older output is forgotten with them.
  static constexpr std::size_t kChangesMax = 16 << 10;

  // Keeps `bytes_max` at least, where there are so many, and at most twice as many.
  // The first byte to come has the place `first`.
  explicit OutputLog(std::size_t bytes_max, std::uint64_t first = 0)
      : bytes_max_(bytes_max), first_(first) {}

  void append(Stream stream, std::string_view bytes);
  // Nothing follows: no more memory is taken than the newest `bytes_max` need.
  void end();
  // Forgets all of it.
  void clear();

  // The place of the oldest byte that is kept, and of the next one to come.
  std::uint64_t first() const noexcept { return first_; }
  std::uint64_t next() const noexcept { return first_ + bytes_.size(); }
  std::size_t size() const noexcept { return bytes_.size(); }

  struct Piece {
    Stream stream = Stream::out;
    std::uint64_t begin = 0;
    std::string_view bytes;  // valid until the next append()
    std::uint64_t end() const noexcept { return begin + bytes.size(); }
  };
  // What is kept from `from` on, of one stream, at most kPieceBytesMax, no UTF-8 character cut in
  // two; from first() on where `from` is before it. nullopt where there is nothing more so far.
  std::optional<Piece> read(std::uint64_t from) const;

 private:
  struct Change {
    std::uint64_t at = 0;
    Stream to = Stream::out;
  };
  void forget_before(std::uint64_t place);

  std::size_t bytes_max_;
  std::uint64_t first_;
  std::string bytes_;
  std::deque<Change> changes_;  // the first one is at first_ or before it
  bool ended_ = false;
};

// Bytes at the end that are the beginning of a UTF-8 character, at most three.
std::size_t unfinished_character(std::string_view bytes) noexcept;

}  // namespace cellar::cell
