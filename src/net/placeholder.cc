#include "net/placeholder.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"

namespace cellar::net {
namespace {

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

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

SoughtValue::SoughtValue(std::string text) : text_(std::move(text)), borders_(text_.size(), 0) {
  CELLAR_CHECK(!text_.empty() && text_.size() <= kBytesMax);
  std::size_t border = 0;
  for (std::size_t at = 1; at < text_.size(); ++at) {
    while (border > 0 && text_[at] != text_[border]) border = borders_[border - 1];
    if (text_[at] == text_[border]) ++border;
    borders_[at] = static_cast<std::uint16_t>(border);
  }
}

std::size_t SoughtValue::advance(std::size_t matched, std::string_view bytes) const noexcept {
  for (std::size_t at = 0; at < bytes.size() && matched < text_.size(); ++at) {
    if (matched == 0) at = bytes.find(text_.front(), at);  // as fast as memory is
    if (at == bytes.npos) return 0;
    while (matched > 0 && bytes[at] != text_[matched]) matched = borders_[matched - 1];
    if (bytes[at] == text_[matched]) ++matched;
  }
  return matched;
}

EchoScan::EchoScan(SoughtValues values) {
  for (std::shared_ptr<const SoughtValue>& value : values) {
    held_bytes_max_ = std::max(held_bytes_max_, value->size() - 1);
    sought_.push_back({std::move(value)});
  }
}

bool EchoScan::is_in(std::string_view whole) const {
  return std::any_of(sought_.begin(), sought_.end(), [&](const Sought& sought) {
    return sought.value->advance(0, whole) == sought.value->size();
  });
}

std::optional<std::string> EchoScan::take(std::string_view piece) {
  for (Sought& sought : sought_) {
    sought.matched = sought.value->advance(sought.matched, piece);
    if (sought.matched == sought.value->size()) return std::nullopt;
  }
  std::string passes = std::move(held_).append(piece);
  const std::size_t held = std::min(passes.size(), held_bytes_max_);
  held_ = passes.substr(passes.size() - held);
  passes.resize(passes.size() - held);
  return passes;
}

}  // namespace cellar::net
