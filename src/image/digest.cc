#include "image/digest.h"

#include "base/sha256.h"
#include "sys/file.h"

namespace cellar::image {

std::string digest_of(const sys::Fd& file, const std::string& path) {
  constexpr std::size_t kPieceBytes = 1 << 20;
  Sha256 hash;
  for (;;) {
    const std::string piece = sys::read_some(file.get(), kPieceBytes, path);
    if (piece.empty()) return hash.hex();
    hash.update(piece);
  }
}

}  // namespace cellar::image
