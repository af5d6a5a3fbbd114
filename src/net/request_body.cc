#include "net/request_body.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace cellar::net {
namespace {

constexpr std::size_t kSizeDigitsMax = 15;  // below 2^60

std::optional<std::uint64_t> read_hex(std::string_view digits) {
  if (digits.empty() || digits.size() > kSizeDigitsMax) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    const int lower = c | 0x20;
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (lower < 'a' || lower > 'f')) return std::nullopt;
    value = value * 16 + static_cast<std::uint64_t>(is_digit ? c - '0' : lower - 'a' + 10);
  }
  return value;
}

}  // namespace

RequestBody RequestBody::of_length(std::uint64_t bytes) {
  RequestBody body;
  body.rest_ = bytes;
  body.state_ = bytes == 0 ? State::ended : State::length;
  return body;
}

RequestBody RequestBody::chunked() {
  RequestBody body;
  body.state_ = State::size_line;
  return body;
}

std::size_t RequestBody::take(std::string_view bytes, std::string* content) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !has_ended() && !is_malformed()) {
    if (state_ == State::length || state_ == State::data) {
      const std::size_t size = take_data(bytes.substr(taken));
      if (content != nullptr) content->append(bytes.substr(taken, size));
      taken += size;
    } else {
      take_char(bytes[taken]);
      ++taken;
    }
  }
  return taken;
}

std::size_t RequestBody::take_data(std::string_view bytes) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), rest_));
  rest_ -= size;
  if (rest_ == 0) state_ = state_ == State::length ? State::ended : State::data_end;
  return size;
}

void RequestBody::take_char(char c) {
  const bool after_cr = line_.ends_with('\r');
  const bool ends_line = after_cr && c == '\n';
  const bool is_text = c == '\t' || !is_control(c);
  const bool is_bad = after_cr ? !ends_line : c != '\r' && (!is_text || state_ == State::data_end);
  if (is_bad || (!ends_line && line_.size() >= kLineBytesMax)) {
    state_ = State::malformed;
    return;
  }
  if (!ends_line) {
    line_.push_back(c);
    return;
  }
  line_.pop_back();
  end_line();
  line_.clear();
}

void RequestBody::end_line() {
  if (state_ == State::data_end) {
    state_ = State::size_line;
    return;
  }
  if (state_ == State::trailer) {
    if (line_.empty()) {
      state_ = State::ended;
    } else if (++trailer_count_ > kTrailersMax) {
      state_ = State::malformed;
    }
    return;
  }
  // Extensions pass: they have no line end in them.
  const auto size = read_hex(std::string_view(line_).substr(0, line_.find(';')));
  if (!size) {
    state_ = State::malformed;
    return;
  }
  rest_ = *size;
  state_ = rest_ == 0 ? State::trailer : State::data;
}

}  // namespace cellar::net
