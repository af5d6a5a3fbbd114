#include "cell/output_log.h"

#include <algorithm>

namespace cellar::cell {

void OutputLog::append(Stream stream, std::string_view bytes) {
  if (bytes.empty()) return;
  if (changes_.empty() || changes_.back().to != stream) changes_.push_back({next(), stream});
  bytes_.append(bytes);
  if (bytes_.size() > 2 * bytes_max_) forget_before(next() - bytes_max_);
  if (changes_.size() > kChangesMax) forget_before(changes_[changes_.size() / 2].at);
}

void OutputLog::end() {
  ended_ = true;
  if (bytes_.size() > bytes_max_) forget_before(next() - bytes_max_);
  bytes_.shrink_to_fit();
  changes_.shrink_to_fit();
}

void OutputLog::clear() {
  forget_before(next());
  bytes_.shrink_to_fit();
}

void OutputLog::forget_before(std::uint64_t place) {
  bytes_.erase(0, place - first_);
  first_ = place;
  while (changes_.size() > 1 && changes_[1].at <= place) changes_.pop_front();
}

std::optional<OutputLog::Piece> OutputLog::read(std::uint64_t from) const {
  from = std::max(from, first_);
  if (from >= next()) return std::nullopt;
  const auto following =
      std::upper_bound(changes_.begin(), changes_.end(), from,
                       [](std::uint64_t place, const Change& change) { return place < change.at; });
  const bool is_last = following == changes_.end();
  const std::uint64_t end = std::min(is_last ? next() : following->at, from + kPieceBytesMax);
  Piece piece{std::prev(following)->to, from,
              std::string_view(bytes_).substr(from - first_, end - from)};
  const bool is_whole = is_last ? ended_ && end == next() : end == following->at;
  if (!is_whole) piece.bytes.remove_suffix(unfinished_character(piece.bytes));
  if (piece.bytes.empty()) return std::nullopt;  // The rest of the character is on its way.
  return piece;
}

std::size_t unfinished_character(std::string_view bytes) noexcept {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

}  // namespace cellar::cell
