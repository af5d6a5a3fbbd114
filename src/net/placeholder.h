#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
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

// Looks for values of secrets in bytes that come in pieces, and keeps back what may be the
// beginning of one, from kHeldBytesMin bytes on, until more is there.
class EchoScan {
 public:
  static constexpr std::size_t kHeldBytesMin = 4;

  // Each longer than kHeldBytesMin.
  explicit EchoScan(std::vector<std::string> values) : values_(std::move(values)) {}

  // What may be passed on, of this piece and what was kept back; nullopt where there is a value.
  std::optional<std::string> take(std::string_view piece);
  // Whether there is a value in bytes that stand alone.
  bool is_in(std::string_view whole) const;
  // What is kept back, at the end.
  std::string rest() { return std::move(held_); }

 private:
  std::vector<std::string> values_;
  std::string passed_;  // the last of it, shorter than kHeldBytesMin
  std::string held_;
};

}  // namespace cellar::net
