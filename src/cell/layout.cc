#include "cell/layout.h"

#include <filesystem>

#include "sys/file.h"

namespace cellar::cell {

void CellLayout::create() const {
  for (const char* folder : {"/root/upper", "/root/work", "/root/home", "/work", "/data/versions",
                             "/db", "/journal", "/index", "/run"}) {
    sys::make_dirs(dir + folder, 0700);
  }
  // What the cell itself looks at must be readable to its unprivileged users, too.
  for (const char* folder : {"/root/upper", "/work", "/data", "/data/versions"}) {
    std::filesystem::permissions(dir + folder, std::filesystem::perms(0755));
  }
  sys::sync_dir(dir);
  sys::sync_dir(std::filesystem::path(dir).parent_path().string());
}

}  // namespace cellar::cell
