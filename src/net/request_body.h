#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cellar::net {

// Finds the end of a body, a request's or an answer's, in the bytes that follow its head. The bytes
// pass unchanged; what comes behind the end belongs to nobody. Pure.
class RequestBody {
 public:
  RequestBody() = default;  // There is none.
  static RequestBody of_length(std::uint64_t bytes);
  static RequestBody chunked();

  // How many of `bytes` belong to the body. Fewer than all: the body has ended there, or
  // is_malformed(). Where there is a `content`, what of them is no chunk's wrapping is appended to
  // it.
  std::size_t take(std::string_view bytes, std::string* content = nullptr);
  bool has_ended() const noexcept { return state_ == State::ended; }
  // Chunks that are not to the letter: a size that is no plain hexadecimal number, a line that does
  // not end in CRLF or is longer than kLineBytesMax. Nothing may be sent any more.
  bool is_malformed() const noexcept { return state_ == State::malformed; }

  static constexpr std::size_t kLineBytesMax = 1024;
  static constexpr std::size_t kTrailersMax = 64;

 private:
  enum class State : std::uint8_t {
    ended,
    malformed,
    length,     // rest_ bytes are missing
    size_line,  // of a chunk
    data,       // rest_ bytes of a chunk are missing
    data_end,   // the CRLF behind them
    trailer,    // lines, the last one empty
  };

  std::size_t take_data(std::string_view bytes);
  void take_char(char c);
  void end_line();

  State state_ = State::ended;
  std::uint64_t rest_ = 0;
  std::string line_;  // of the line that is not whole yet, CR included
  std::size_t trailer_count_ = 0;
};

}  // namespace cellar::net
