#pragma once

#include <cstdint>
#include <string_view>

namespace cellar::net {

// Reads big-endian fields one after the other. Past the end every read gives 0 or "" and failed()
// stays true: check it once, behind the last read.
class Reader {
 public:
  explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}

  std::string_view take(std::size_t size) noexcept {
    if (size > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u24() noexcept { return number(3); }

  std::size_t size() const noexcept { return rest_.size(); }  // what is left
  bool empty() const noexcept { return rest_.empty(); }
  bool failed() const noexcept { return failed_; }

 private:
  std::uint32_t number(std::size_t size) noexcept {
    std::uint32_t value = 0;
    for (const char c : take(size)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace cellar::net
