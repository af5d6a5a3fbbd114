#include "cell/layout.h"

#include <filesystem>

#include "sys/file.h"

namespace cellar::cell {

void CellLayout::create(sys::DiskEnforcer enforcer) const {
  if (!sys::exists(dir)) {
    sys::make_dirs(dir);
    sys::make_limited(enforcer, limited());
  }
  for (const char* folder :
       {"/root/home", "/work", "/data/versions", "/db", "/journal", "/index", "/run"}) {
    sys::make_dirs(dir + folder, 0700);
  }
  // Both halves of each overlay of the shell's root (sandbox/plan.cc).
  for (const char* layer : {"root", "usr", "dpkg"}) {
    for (const char* half : {"upper", "work"}) {
      sys::make_dirs(dir + "/root/layers/" + layer + "/" + half, 0755);
    }
  }
  // What the cell itself looks at must be readable to its unprivileged users, too.
  for (const char* folder : {"/work", "/data", "/data/versions"}) {
    std::filesystem::permissions(dir + folder, std::filesystem::perms(0755));
  }
  for (const std::string& folder : {dir + "/root", dir + "/data", dir}) sys::sync_dir(folder);
  sys::sync_dir(std::filesystem::path(dir).parent_path().string());
}

void CellLayout::remove() const {
  sys::remove_limited(limited());
  sys::remove_tree(dir);
}

}  // namespace cellar::cell
