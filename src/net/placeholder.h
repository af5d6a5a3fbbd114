#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What stands for a secret inside of a cell: "cellar-secret-" and 32 random hexadecimal digits.
namespace cellar::net {

inline constexpr std::string_view kPlaceholderStart = "cellar-secret-";
inline constexpr std::size_t kPlaceholderBytes = kPlaceholderStart.size() + 32;

// A new one, which nobody can guess.
std::string make_placeholder();

// The first thing of this form in `text`, whether it stands for a secret or not.
std::optional<std::string_view> find_placeholder(std::string_view text) noexcept;

// Looks for a placeholder in bytes that come in pieces, and holds none of them back.
class PlaceholderScan {
 public:
  // Whether one ends in this piece.
  bool sees(std::string_view piece);

 private:
  std::string tail_;  // of what was seen, shorter than a placeholder
};

// A value of a secret that is looked for, byte after byte in one pass (Knuth, Morris, Pratt): what
// that costs does not depend on what is looked through. Immutable.
class SoughtValue {
 public:
  static constexpr std::size_t kBytesMax = 0xFFFF;

  // Not empty, and not longer than kBytesMax.
  explicit SoughtValue(std::string text);

  std::size_t size() const noexcept { return text_.size(); }
  // How much of the value is there at the end of `bytes`, where the first `matched` of it were
  // before them; size() where all of it is there, wherever.
  std::size_t advance(std::size_t matched, std::string_view bytes) const noexcept;

 private:
  std::string text_;
  // For each beginning of the value: how long the longest shorter one is that it ends with.
  std::vector<std::uint16_t> borders_;
};

// Shared by the connections that look for them.
using SoughtValues = std::vector<std::shared_ptr<const SoughtValue>>;

// Looks for values of secrets in bytes that come in pieces. The last of the bytes, one less than
// the longest value has, are kept back until more is there, whatever they are: who chooses what a
// host sends would learn the values by what is kept back of it, character by character.
class EchoScan {
 public:
  explicit EchoScan(SoughtValues values);

  // What may be passed on, of this piece and what was kept back; nullopt where there is a value.
  std::optional<std::string> take(std::string_view piece);
  // Whether there is a value in bytes that stand alone.
  bool is_in(std::string_view whole) const;
  std::size_t held_bytes() const noexcept { return held_.size(); }
  // What is kept back, which is passed on: at the end, or because nothing came. A value that goes
  // on behind it is found all the same.
  std::string let_go() { return std::exchange(held_, {}); }

 private:
  struct Sought {
    std::shared_ptr<const SoughtValue> value;
    std::size_t matched = 0;  // at the end of what came
  };

  std::vector<Sought> sought_;
  std::size_t held_bytes_max_ = 0;
  std::string held_;
};

}  // namespace cellar::net
