#pragma once

#include <cstdint>
#include <string>

namespace cellar::image {

// Makes of an unpacked root file system what a cell can start from: the folders that are mounted
// over are there and empty, names are resolved by the cell's resolver, packages start no services,
// and nothing of the machine it was made on is left (keys of ssh, machine-id). Links in it are not
// followed to the outside. Throws Error `invalid_argument`, reason `invalid_image`, where it holds
// no /bin/sh.
void finish_root(const std::string& root);

struct Packed {
  std::string digest;  // SHA-256 of the packed file, the same for the same files
  std::uint64_t size_bytes = 0;
};

// Packs `draft`/root as `draft`/root.erofs. Leaves only the one of both that this kernel can mount.
Packed pack(const std::string& draft);

}  // namespace cellar::image
