#include "spawn/images.h"

#include <fcntl.h>

#include "base/error.h"
#include "sys/file.h"
#include "sys/mounts.h"

namespace cellar::spawn {
namespace {

// The folder that holds the image's files, from now on.
std::string place(const std::string& dir) {
  const std::string packed = dir + "/root.erofs";
  if (!sys::exists(packed)) {
    if (sys::exists(dir + "/root")) return dir + "/root";
    throw Error(ErrorCode::not_found, dir + " holds no image");
  }
  const sys::Fd mount =
      sys::make_mount("erofs", {{"source", packed}}, sys::kReadOnly | sys::kNoSuid | sys::kNoDev);
  const std::string at = dir + "/mount";
  sys::attach_mount(mount.get(), sys::open_file(at, O_PATH | O_DIRECTORY).get());
  return at;
}

}  // namespace

const sandbox::Image& Images::get(const std::string& dir) {
  if (dir.empty()) return dev_;
  const auto known = known_.find(dir);
  if (known != known_.end()) return known->second;
  const sandbox::Image image{.root = place(dir), .agent = dev_.agent, .usr = {}, .packages = {}};
  return known_.emplace(dir, image).first->second;
}

}  // namespace cellar::spawn
