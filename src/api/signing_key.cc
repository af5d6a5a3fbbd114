#include "api/signing_key.h"

#include "base/error.h"
#include "base/hmac.h"
#include "base/random.h"
#include "base/text.h"
#include "sys/file.h"

namespace cellar::api {
namespace {

constexpr std::size_t kSigningKeyBytes = 32;

}  // namespace

SigningKey SigningKey::from_file(const std::string& path) {
  auto key = sys::read_file(path, 2 * kSigningKeyBytes);
  if (!key) {
    key = random_bytes(kSigningKeyBytes);
    sys::replace_file(path, *key, 0600);
  }
  if (key->size() == kSigningKeyBytes) return SigningKey(std::move(*key));
  throw Error(ErrorCode::corrupt, "preview_key_corrupt",
              path + " is not the key that preview links and tokens are signed with",
              "remove it: a new one is made, and old links and tokens end");
}

std::string SigningKey::code_of(std::string_view text) const {
  return to_hex(hmac_sha256(key_, text));
}

bool SigningKey::has_code(std::string_view text, std::string_view code) const {
  return equal_in_constant_time(code_of(text), code);
}

}  // namespace cellar::api
