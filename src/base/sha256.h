#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace cellar {

// The SHA-256 digest of `bytes`: 32 raw bytes, or 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);

// The same of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::string_view bytes) noexcept;
  // Of all pieces. Nothing may be called afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cellar
