#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "sys/fd.h"
#include "sys/file.h"

namespace cellar::sys {

// A file that is written piece by piece under another name beside its own, and takes its place when
// it is whole. Until then, and if it never is, the old one stays; what a crash leaves is named
// "PATH.tmp-…" where nothing else is said. Blocking. Throws Error. Not thread-safe.
class NewFile {
 public:
  explicit NewFile(std::string path, mode_t mode = 0600);
  // Under the name `temporary` in the same folder.
  NewFile(std::string path, std::string temporary, mode_t mode);
  NewFile(NewFile&& other) noexcept = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  void write(std::string_view bytes);
  // The next `size_bytes` are zeros, and take no room where the file system has holes.
  void skip(std::uint64_t size_bytes);
  // Gives it the mode and, as far as this process may, the owner of what is at the path.
  void keep_rights();
  // Nothing comes after that. After a crash at any moment the path holds the old or the new
  // contents; durable when this returns, where that is asked for. Returns the file, open for both,
  // at its end.
  Fd replace(Durable durable = Durable::yes);

 private:
  std::string path_;
  std::string temporary_;
  Fd fd_;  // none once it took its place
};

}  // namespace cellar::sys
