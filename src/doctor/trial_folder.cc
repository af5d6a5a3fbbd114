#include "doctor/trial_folder.h"

#include <filesystem>

#include "base/random.h"
#include "sys/file.h"

namespace cellar::doctor {

TrialFolder::TrialFolder(const std::string& place)
    : path_(place + "/.cellar-doctor-" + random_hex(6)) {
  sys::make_dirs(path_);
}

TrialFolder::~TrialFolder() {
  std::error_code ignored;
  // An overlay leaves a folder that only root could look into.
  std::filesystem::remove(path_ + "/work/work", ignored);
  std::filesystem::remove_all(path_, ignored);
}

std::string TrialFolder::folder(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  sys::make_dirs(path);
  return path;
}

}  // namespace cellar::doctor
