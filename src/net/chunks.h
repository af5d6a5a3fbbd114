#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cellar::net {

// Takes the content out of a body that comes in chunks. Pure; strict as RequestBody is.
class Chunks {
 public:
  // Appends what of `bytes` is content to `content`. Behind the end, and once it is malformed,
  // nothing is.
  void take(std::string_view bytes, std::string& content);
  bool has_ended() const noexcept { return state_ == State::ended; }
  bool is_malformed() const noexcept { return state_ == State::malformed; }

  static constexpr std::size_t kLineBytesMax = 1024;
  static constexpr std::size_t kTrailersMax = 64;

 private:
  enum class State : std::uint8_t { size_line, data, data_end, trailer, ended, malformed };

  void take_char(char c);
  void end_line();

  State state_ = State::size_line;
  std::uint64_t rest_ = 0;  // of the chunk
  std::string line_;        // that is not whole yet, CR included
  std::size_t trailer_count_ = 0;
};

}  // namespace cellar::net
