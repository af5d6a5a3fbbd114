#include "sys/directory.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "base/error.h"

namespace cellar::sys {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

// Some file systems do not say the kind of an entry.
bool is_file(const std::string& path, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_REG;
  struct stat stat{};
  return ::lstat((path + "/" + entry.d_name).c_str(), &stat) == 0 && S_ISREG(stat.st_mode);
}

}  // namespace

std::vector<std::string> files_in(const std::string& path) {
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(path.c_str()));
  if (!dir) throw_errno("opendir", path);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr && errno != 0) throw_errno("readdir", path);
    if (entry == nullptr) return names;
    if (is_file(path, *entry)) names.emplace_back(entry->d_name);
  }
}

void rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == -1) throw_errno("rename", to);
}

}  // namespace cellar::sys
