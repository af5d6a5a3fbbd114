#include "sys/directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "base/error.h"
#include "sys/dir.h"

namespace cellar::sys {
namespace {

enum class Kind : std::uint8_t { file, folder };

// Some file systems do not say the kind of an entry.
bool is(Kind kind, const std::string& path, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == (kind == Kind::file ? DT_REG : DT_DIR);
  struct stat stat{};
  if (::lstat((path + "/" + entry.d_name).c_str(), &stat) != 0) return false;
  return kind == Kind::file ? S_ISREG(stat.st_mode) : S_ISDIR(stat.st_mode);
}

std::vector<std::string> names_in(const std::string& path, DIR* dir, Kind kind) {
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    // ENOENT: it is removed meanwhile.
    if (entry == nullptr && errno != 0 && errno != ENOENT) throw_errno("readdir", path);
    if (entry == nullptr) return names;
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && is(kind, path, *entry)) names.emplace_back(name);
  }
}

}  // namespace

std::vector<std::string> files_in(const std::string& path) {
  const Dir dir(::opendir(path.c_str()));
  if (!dir) throw_errno("opendir", path);
  return names_in(path, dir.get(), Kind::file);
}

std::vector<std::string> folders_in(const std::string& path) {
  const Dir dir(::opendir(path.c_str()));
  if (!dir && errno == ENOENT) return {};
  if (!dir) throw_errno("opendir", path);
  return names_in(path, dir.get(), Kind::folder);
}

bool try_remove_folder(const std::string& path) noexcept {
  return ::rmdir(path.c_str()) == 0 || errno == ENOENT;
}

void rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == -1) throw_errno("rename", to);
}

}  // namespace cellar::sys
