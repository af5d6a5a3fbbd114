#include "cell/secrets.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "base/sha256.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr const char* kKeyHashFile = "seal-key.sha256";

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

Cipher new_cipher() { return {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free}; }

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

void require(int result) {
  if (result != 1) throw Error(ErrorCode::internal, "AES-256-GCM: the cipher refused");
}

}  // namespace

Sealer::Sealer(std::string key) : key_(std::move(key)) {
  if (key_.size() != kKeyBytes) {
    throw Error(ErrorCode::invalid_argument, "invalid_seal_key",
                "the seal key must be 32 bytes, it has " + std::to_string(key_.size()));
  }
}

Sealer Sealer::from_key_file(const std::string& path) {
  if (const auto file = sys::open_file_if_exists(path, O_RDONLY)) {
    struct stat status{};
    if (::fstat(file->get(), &status) == -1) throw_errno("fstat", path);
    if ((status.st_mode & 077) != 0) {
      throw Error(ErrorCode::invalid_argument, "seal_key_exposed",
                  "the seal key " + path + " can be read by others", "chmod 600 " + path);
    }
    return Sealer(sys::read_all(file->get(), 4096, path));
  }
  sys::make_dirs(sys::folder_of(path), 0700);
  const std::string key = random_bytes(kKeyBytes);
  sys::replace_file(path, key, 0600);
  return Sealer(key);
}

bool Sealer::is_key_of(const std::string& state_dir) const {
  const std::string path = state_dir + "/" + kKeyHashFile;
  const std::string hash = sha256_hex("cellar seal key\n" + key_) + "\n";
  if (const auto known = sys::read_file(path)) return *known == hash;
  sys::replace_file(path, hash);
  return true;
}

std::string Sealer::seal(std::string_view plain, std::string_view context) const {
  const std::string nonce = random_bytes(kNonceBytes);
  std::string sealed(plain.size(), '\0');
  std::string tag(kTagBytes, '\0');
  const Cipher cipher = new_cipher();
  int size = 0;
  require(EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_),
                             bytes_of(nonce)));
  require(EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                            static_cast<int>(context.size())));
  require(EVP_EncryptUpdate(cipher.get(), bytes_of(sealed), &size, bytes_of(plain),
                            static_cast<int>(plain.size())));
  require(EVP_EncryptFinal_ex(cipher.get(), bytes_of(sealed) + size, &size));
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()));
  return nonce + sealed + tag;
}

std::optional<std::string> Sealer::open(std::string_view sealed, std::string_view context) const {
  if (sealed.size() < kNonceBytes + kTagBytes) return std::nullopt;
  const std::string_view body = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  std::string plain(body.size(), '\0');
  const Cipher cipher = new_cipher();
  int size = 0;
  require(EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_),
                             bytes_of(sealed)));
  require(EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                            static_cast<int>(context.size())));
  require(EVP_DecryptUpdate(cipher.get(), bytes_of(plain), &size, bytes_of(body),
                            static_cast<int>(body.size())));
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()));
  if (EVP_DecryptFinal_ex(cipher.get(), bytes_of(plain) + size, &size) != 1) return std::nullopt;
  return plain;
}

}  // namespace cellar::cell
