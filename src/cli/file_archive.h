#pragma once

#include <cstdint>
#include <string>

#include "sys/fd.h"
#include "sys/tar.h"
#include "sys/tar_folder.h"

namespace cellar::cli {

// One file as an archive, piece by piece: the daemon takes one of any size. Not thread-safe.
class FileArchive {
 public:
  // The file at `path`, to be unpacked as `name` with `mode`. Throws Error.
  FileArchive(const std::string& path, const std::string& name, std::uint32_t mode);
  // The next bytes; empty once all was given. Throws Error, also where the file became shorter.
  std::string next();
  const sys::TarCount& count() const noexcept { return count_; }

 private:
  std::string path_;
  sys::Fd file_;
  sys::TarEntry entry_;
  bool has_begun_ = false;
  bool has_ended_ = false;
  sys::TarCount count_;
};

}  // namespace cellar::cli
