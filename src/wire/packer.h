#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

// The fields of our binary messages: little-endian integers, and strings and lists behind a u32
// that counts them.
namespace cellar::wire {

class Packer {
 public:
  Packer& u8(std::uint8_t value) { return integer(value); }
  Packer& u32(std::uint32_t value) { return integer(value); }
  Packer& u64(std::uint64_t value) { return integer(value); }
  Packer& text(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
    return *this;
  }
  Packer& texts(const std::vector<std::string>& values) {
    u32(static_cast<std::uint32_t>(values.size()));
    for (const std::string& value : values) text(value);
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  template <typename T>
  Packer& integer(T value) {
    put_le(bytes_, value);
    return *this;
  }
  std::string bytes_;
};

// Reads what a Packer wrote. Never throws and never reads past the end, whatever the bytes are:
// once something was missing every read gives nothing and ok() stays false.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) noexcept : rest_(bytes) {}

  std::uint8_t u8() noexcept { return integer<std::uint8_t>(); }
  std::uint32_t u32() noexcept { return integer<std::uint32_t>(); }
  std::uint64_t u64() noexcept { return integer<std::uint64_t>(); }
  std::string text() {
    const std::uint32_t size = u32();
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  std::vector<std::string> texts() {
    const std::uint32_t count = u32();
    std::vector<std::string> values;
    for (std::uint32_t i = 0; i < count && ok_; ++i) values.push_back(text());
    return values;
  }

  bool ok() const noexcept { return ok_; }
  // All was there, and nothing is left.
  bool complete() const noexcept { return ok_ && rest_.empty(); }

 private:
  template <typename T>
  T integer() noexcept {
    if (!ok_ || rest_.size() < sizeof(T)) {
      ok_ = false;
      return 0;
    }
    const T value = get_le<T>(rest_, 0);
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace cellar::wire
