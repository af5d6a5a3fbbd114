#include "cli/local_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "sys/file.h"

namespace cellar::cli {
namespace {

namespace fs = std::filesystem;

// /dev/stdout may be a file, and whoever opened that goes on with it.
bool is_opened_by_another(const fs::path& path) {
  const std::string name = fs::absolute(path).lexically_normal().string();
  return name.starts_with("/dev/") || name.starts_with("/proc/");
}

bool takes_files(const fs::path& folder) {
  return ::access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0;
}

}  // namespace

LocalFile::LocalFile(const fs::path& path) : path_(path) {
  const bool is_ours = !is_opened_by_another(path);
  const bool is_file = fs::is_regular_file(path);
  const bool is_new = !fs::exists(fs::symlink_status(path));
  if (is_ours && is_file) path_ = fs::canonical(path);
  if (is_ours && (is_file || is_new) && takes_files(path_.parent_path())) {
    new_.emplace(path_.string(), 0666);
  } else {
    in_place_ = sys::open_file(path.string(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  }
}

void LocalFile::write(std::string_view bytes) {
  if (new_) {
    new_->write(bytes);
  } else {
    sys::write_all(in_place_.get(), bytes, path_.string());
  }
}

void LocalFile::finish() {
  if (!new_) return;
  new_->keep_rights();
  new_->replace(sys::Durable::no);
}

void LocalFile::make_executable() {
  const auto read = static_cast<unsigned>(fs::status(path_).permissions()) & 0444;
  fs::permissions(path_, fs::perms{read >> 2}, fs::perm_options::add);
}

}  // namespace cellar::cli
