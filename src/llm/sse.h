#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::llm {

// Server-sent events out of pieces that may be cut anywhere. Pure. Lines end in LF, CRLF or CR.
class SseReader {
 public:
  static constexpr std::size_t kEventBytesMax = 4 << 20;

  // The data of the events that `bytes` complete; those without data are left out. Throws Error
  // `too_large` for an event of more than kEventBytesMax.
  std::vector<std::string> take(std::string_view bytes);

 private:
  void end_line(std::vector<std::string>& events);

  std::string line_;
  std::optional<std::string> data_;
  bool skips_lf_ = false;  // the last byte was a CR
};

}  // namespace cellar::llm
