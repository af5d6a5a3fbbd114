#include "search/utf8.h"

namespace cellar::search {

std::string as_utf8(std::string_view bytes) {
  const auto size_at = [&](std::size_t at) -> std::size_t {
    const auto byte = [&](std::size_t i) {
      return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U;
    };
    const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    const unsigned lead = byte(at);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF && tail(at + 1)) return 2;
    const bool three = tail(at + 1) && tail(at + 2);
    if (lead >= 0xE0 && lead <= 0xEF && three) {
      const bool overlong = lead == 0xE0 && byte(at + 1) < 0xA0;
      const bool surrogate = lead == 0xED && byte(at + 1) > 0x9F;
      return overlong || surrogate ? 0 : 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4 && three && tail(at + 3)) {
      const bool overlong = lead == 0xF0 && byte(at + 1) < 0x90;
      const bool too_high = lead == 0xF4 && byte(at + 1) > 0x8F;
      return overlong || too_high ? 0 : 4;
    }
    return 0;
  };
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = size_at(at);
    out.append(size == 0 ? std::string_view("\xEF\xBF\xBD") : bytes.substr(at, size));
    at += size == 0 ? 1 : size;
  }
  return out;
}

}  // namespace cellar::search
