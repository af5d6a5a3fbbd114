#include "sys/folder_identity.h"

#include <sys/stat.h>

#include "base/error.h"

namespace cellar::sys {

std::string folder_identity(const std::string& path) {
  struct stat stat{};
  if (::stat(path.c_str(), &stat) == -1) throw_errno("stat", path);
  return std::to_string(stat.st_dev) + ":" + std::to_string(stat.st_ino);
}

}  // namespace cellar::sys
