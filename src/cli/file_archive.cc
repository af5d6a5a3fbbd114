#include "cli/file_archive.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "sys/file.h"

namespace cellar::cli {

namespace fs = std::filesystem;

FileArchive::FileArchive(const std::string& path, const std::string& name, std::uint32_t mode)
    : path_(path), file_(sys::open_file(path, O_RDONLY)) {
  const auto changed = std::chrono::file_clock::to_sys(fs::last_write_time(path));
  entry_.path = name;
  entry_.mode = mode;
  entry_.size_bytes = fs::file_size(path);
  entry_.mtime_s = std::chrono::floor<std::chrono::seconds>(changed).time_since_epoch().count();
  count_ = {.files = 1, .bytes = 0, .entries = 1};
}

std::string FileArchive::next() {
  if (!std::exchange(has_begun_, true)) return sys::tar_header(entry_);
  if (has_ended_) return {};
  const std::uint64_t left = entry_.size_bytes - count_.bytes;
  if (left == 0) {
    has_ended_ = true;
    return sys::tar_padding(entry_.size_bytes) + sys::tar_end();
  }
  const auto wanted = std::min<std::uint64_t>(left, sys::TarPacker::kPieceBytes);
  std::string bytes = sys::read_some(file_.get(), wanted, path_);
  if (bytes.empty()) {  // Its header has told its size.
    throw Error(ErrorCode::conflict, "file_changed",
                "file '" + path_ + "' became shorter while it was read", "try again");
  }
  count_.bytes += bytes.size();
  return bytes;
}

}  // namespace cellar::cli
