#include "net/chunks.h"

#include <algorithm>
#include <charconv>

namespace cellar::net {

void Chunks::take(std::string_view bytes, std::string& content) {
  while (!bytes.empty() && state_ != State::ended && state_ != State::malformed) {
    if (state_ != State::data) {
      take_char(bytes.front());
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t size = std::min<std::uint64_t>(bytes.size(), rest_);
    content.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    rest_ -= size;
    if (rest_ == 0) state_ = State::data_end;
  }
}

void Chunks::take_char(char c) {
  line_.push_back(c);
  if (c != '\n') {
    if (line_.size() > kLineBytesMax) state_ = State::malformed;
    return;
  }
  if (!line_.ends_with("\r\n")) {
    state_ = State::malformed;
    return;
  }
  line_.resize(line_.size() - 2);
  end_line();
  line_.clear();
}

void Chunks::end_line() {
  if (state_ == State::data_end) {
    state_ = line_.empty() ? State::size_line : State::malformed;
  } else if (state_ == State::trailer) {
    if (line_.empty()) {
      state_ = State::ended;
    } else if (++trailer_count_ > kTrailersMax) {
      state_ = State::malformed;
    }
  } else {
    const std::string size = line_.substr(0, line_.find_first_of("; \t"));
    const char* end = size.data() + size.size();
    const auto [at, error] = std::from_chars(size.data(), end, rest_, 16);
    const bool is_number = error == std::errc() && at == end && size.size() <= 15;
    state_ = !is_number ? State::malformed : rest_ == 0 ? State::trailer : State::data;
  }
}

}  // namespace cellar::net
