#include "cell/layout.h"

#include <fcntl.h>

#include <filesystem>
#include <vector>

#include "sys/file.h"
#include "sys/tree_removal.h"

namespace cellar::cell {

namespace {

// A folder that the daemon has just made; a cell's root may have given it to somebody since.
void give_new(const std::string& path, std::uint32_t root) {
  const sys::Fd folder = sys::open_file(path, O_RDONLY | O_DIRECTORY);
  if (root != 0 && sys::owner_of(folder.get()) == 0) sys::give_to(folder.get(), root);
}

bool make_missing(const std::string& path, mode_t mode) {
  if (sys::exists(path)) return false;
  sys::make_dirs(path, mode);
  return true;
}

}  // namespace

void CellLayout::create(sys::DiskEnforcer enforcer, std::uint32_t root) const {
  if (!sys::exists(dir)) {
    sys::make_dirs(dir);
    sys::make_limited(enforcer, limited());
  }
  std::vector<std::string> layers;  // Both halves of each overlay of the shell's root.
  for (const char* layer : {"root", "usr", "dpkg"}) {
    for (const char* half : {"upper", "work"}) {
      layers.push_back(dir + "/root/layers/" + layer + "/" + half);
    }
  }
  bool has_all = true;  // And so it was synced before anybody was told of the cell.
  for (const char* folder :
       {"/root/home", "/work", "/data/versions", "/db", "/journal", "/index", "/run"}) {
    if (make_missing(dir + folder, 0700)) has_all = false;
  }
  for (const std::string& layer : layers) {
    if (make_missing(layer, 0755)) has_all = false;
  }
  if (has_all && sys::exists(record())) return;
  for (const std::string& layer : layers) give_new(layer, root);
  // What the cell itself looks at must be readable to its unprivileged users, too.
  for (const char* folder : {"/work", "/data", "/data/versions"}) {
    std::filesystem::permissions(dir + folder, std::filesystem::perms(0755));
  }
  for (const char* folder : {"/work", "/root/home"}) give_new(dir + folder, root);
  for (const std::string& folder : {dir + "/root", dir + "/data", dir}) sys::sync_dir(folder);
  sys::sync_dir(std::filesystem::path(dir).parent_path().string());
}

bool CellLayout::remove(const std::function<bool()>& go_on) const {
  return sys::remove_limited(limited(), go_on) && sys::remove_tree_while(dir, go_on);
}

}  // namespace cellar::cell
