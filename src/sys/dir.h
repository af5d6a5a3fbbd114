#pragma once

#include <dirent.h>

#include <memory>

namespace cellar::sys {

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

// A folder that is being read; null where it could not be opened.
using Dir = std::unique_ptr<DIR, CloseDir>;

}  // namespace cellar::sys
