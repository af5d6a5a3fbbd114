#include "net/placeholder.h"

#include <algorithm>

#include "base/random.h"

namespace cellar::net {
namespace {

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// How much of the end of `text` is the beginning of `value`, but not all of it.
std::size_t begun_at_end(std::string_view text, std::string_view value) {
  for (std::size_t size = std::min(text.size(), value.size() - 1); size > 0; --size) {
    if (text.ends_with(value.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

std::string make_placeholder() {
  return std::string(kPlaceholderStart) +
         random_hex((kPlaceholderBytes - kPlaceholderStart.size()) / 2);
}

std::optional<std::string_view> find_placeholder(std::string_view text) noexcept {
  for (std::size_t at = text.find(kPlaceholderStart); at != text.npos;
       at = text.find(kPlaceholderStart, at + 1)) {
    const std::string_view all = text.substr(at, kPlaceholderBytes);
    const std::string_view digits = all.substr(kPlaceholderStart.size());
    const bool is_whole = all.size() == kPlaceholderBytes;
    if (is_whole && std::all_of(digits.begin(), digits.end(), is_lower_hex)) return all;
  }
  return std::nullopt;
}

bool PlaceholderScan::sees(std::string_view piece) {
  tail_ += piece.substr(0, kPlaceholderBytes - 1);  // One that began before ends in here.
  if (find_placeholder(tail_) || find_placeholder(piece)) return true;
  if (piece.size() >= kPlaceholderBytes) tail_ = piece;
  if (tail_.size() >= kPlaceholderBytes) tail_.erase(0, tail_.size() - kPlaceholderBytes + 1);
  return false;
}

bool EchoScan::is_in(std::string_view whole) const {
  return std::any_of(values_.begin(), values_.end(),
                     [&](const std::string& value) { return whole.find(value) != whole.npos; });
}

std::optional<std::string> EchoScan::take(std::string_view piece) {
  std::string bytes = passed_ + std::move(held_) + std::string(piece);
  held_.clear();
  std::size_t begun = 0;
  for (const std::string& value : values_) {
    if (bytes.find(value) != bytes.npos) return std::nullopt;
    begun = std::max(begun, begun_at_end(bytes, value));
  }
  std::string passes = bytes.substr(passed_.size());
  if (begun >= kHeldBytesMin) {
    const std::size_t held = std::min(begun, passes.size());
    held_ = passes.substr(passes.size() - held);
    passes.resize(passes.size() - held);
  }
  passed_ += passes;
  if (passed_.size() >= kHeldBytesMin) passed_.erase(0, passed_.size() - kHeldBytesMin + 1);
  return passes;
}

}  // namespace cellar::net
