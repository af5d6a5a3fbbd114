#include "cell/layout.h"

#include <fcntl.h>

#include <filesystem>

#include "sys/file.h"

namespace cellar::cell {

namespace {

// A folder that the daemon has just made; a cell's root may have given it to somebody since.
void give_new(const std::string& path, std::uint32_t root) {
  const sys::Fd folder = sys::open_file(path, O_RDONLY | O_DIRECTORY);
  if (root != 0 && sys::owner_of(folder.get()) == 0) sys::give_to(folder.get(), root);
}

}  // namespace

void CellLayout::create(sys::DiskEnforcer enforcer, std::uint32_t root) const {
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
      give_new(dir + "/root/layers/" + layer + "/" + half, root);
    }
  }
  // What the cell itself looks at must be readable to its unprivileged users, too.
  for (const char* folder : {"/work", "/data", "/data/versions"}) {
    std::filesystem::permissions(dir + folder, std::filesystem::perms(0755));
  }
  for (const char* folder : {"/work", "/root/home"}) give_new(dir + folder, root);
  for (const std::string& folder : {dir + "/root", dir + "/data", dir}) sys::sync_dir(folder);
  sys::sync_dir(std::filesystem::path(dir).parent_path().string());
}

void CellLayout::remove() const {
  sys::remove_limited(limited());
  sys::remove_tree(dir);
}

}  // namespace cellar::cell
