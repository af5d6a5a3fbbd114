#include "certificates/pair.h"

#include "base/error.h"
#include "base/sha256.h"
#include "sys/file.h"

namespace cellar::certificates {
namespace {

constexpr std::size_t kFileBytesMax = 256 << 10;

std::string text_of(const std::string& path) {
  auto text = sys::read_file(path, kFileBytesMax);
  if (text) return std::move(*text);
  throw Error(ErrorCode::not_found, path + " is not there");
}

}  // namespace

Look look_at(const PairFiles& files, const std::string& digest, const std::string& name,
             WallTime now) {
  Look look;
  try {
    const std::string chain = text_of(files.chain);
    const std::string key = text_of(files.key);
    look.digest = sha256_hex(sha256(chain) + sha256(key));
    if (look.digest == digest) return look;
    auto identity = net::TlsIdentity::from_pem(chain, key, now);
    if (!name.empty() && !identity.covers(name)) {
      throw Error(ErrorCode::invalid_argument, "the certificate is for another name than " + name);
    }
    look.identity = std::move(identity);
  } catch (const Error& error) {
    look.problem = error.what();
    if (look.digest.empty()) look.digest = look.problem;
    if (look.digest == digest) look.problem.clear();
  }
  return look;
}

}  // namespace cellar::certificates
