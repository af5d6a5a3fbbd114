#include "init/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "base/text.h"

namespace cellar::init {

std::vector<pid_t> all_processes() {
  std::vector<pid_t> found;
  DIR* folder = ::opendir("/proc");
  if (folder == nullptr) return found;
  while (const dirent* entry = ::readdir(folder)) {
    if (const auto pid = parse_int(entry->d_name)) found.push_back(static_cast<pid_t>(*pid));
  }
  ::closedir(folder);
  return found;
}

std::string read_proc(pid_t pid, const char* file) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + file;
  const int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened == -1) return {};
  std::array<char, 4096> bytes;
  const ssize_t size = ::read(opened, bytes.data(), bytes.size());
  ::close(opened);
  return {bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::string group_of(pid_t pid) {
  constexpr std::string_view kUnified = "0::";
  const std::string text = read_proc(pid, "cgroup");
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with(kUnified)) return std::string(line.substr(kUnified.size()));
  }
  return {};
}

}  // namespace cellar::init
