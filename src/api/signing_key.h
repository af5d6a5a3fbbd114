#pragma once

#include <string>
#include <string_view>

namespace cellar::api {

// Signs what the daemon gives away and takes back: preview links and tokens. Each signs texts that
// begin with a line of its own, so that none passes for another. Immutable.
class SigningKey {
 public:
  explicit SigningKey(std::string key) : key_(std::move(key)) {}
  // The key in this file, which is made, mode 0600, where there is none. Blocking. Throws Error.
  static SigningKey from_file(const std::string& path);

  // 64 hexadecimal digits.
  std::string code_of(std::string_view text) const;
  // In constant time.
  bool has_code(std::string_view text, std::string_view code) const;

 private:
  std::string key_;
};

}  // namespace cellar::api
