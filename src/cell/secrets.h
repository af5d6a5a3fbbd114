#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace cellar::cell {

// Environment variables of a domain's programs. Never written to disk in clear, never logged.
using Secrets = std::map<std::string, std::string>;

// Seals bytes with AES-256-GCM under a key that is kept outside the state folder, so that a copy of
// the state folder tells nothing. Immutable; any thread.
class Sealer {
 public:
  // `key` is 32 bytes. Throws Error `invalid_argument` for any other length.
  explicit Sealer(std::string key);

  // Reads the key file, or makes it (0600, durable) where there is none. Throws Error, also when
  // the file can be read by others. Blocking.
  static Sealer from_key_file(const std::string& path);

  // 12 bytes nonce, the ciphertext, 16 bytes tag. `context` (the cell's id) is authenticated: what
  // was sealed for one cell does not open for another.
  std::string seal(std::string_view plain, std::string_view context) const;
  // nullopt where the bytes are damaged, sealed with another key or for another context.
  std::optional<std::string> open(std::string_view sealed, std::string_view context) const;

  // Whether this is the key that the state folder is sealed with: the folder keeps a hash of the
  // first one that asks. Throws Error. Blocking.
  bool is_key_of(const std::string& state_dir) const;

 private:
  std::string key_;
};

}  // namespace cellar::cell
