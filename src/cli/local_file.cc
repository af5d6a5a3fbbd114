#include "cli/local_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/random.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

namespace fs = std::filesystem;

// /dev/stdout may be a file, and whoever opened that goes on with it.
bool is_opened_by_another(const fs::path& path) {
  const std::string name = fs::absolute(path).lexically_normal().string();
  return name.starts_with("/dev/") || name.starts_with("/proc/");
}

// As whom open(2) asks for, too.
bool may(const fs::path& path, int how) {
  return ::faccessat(AT_FDCWD, path.c_str(), how, AT_EACCESS) == 0;
}

bool takes_files(const fs::path& folder) { return may(folder.empty() ? "." : folder, W_OK | X_OK); }

// A file with other names is theirs, too; one that may not be written stays as it is.
bool may_be_replaced(const fs::path& file) {
  return fs::hard_link_count(file) == 1 && may(file, W_OK);
}

}  // namespace

LocalFile::LocalFile(const fs::path& path) : path_(path) {
  const bool is_ours = !is_opened_by_another(path);
  const bool is_file = fs::is_regular_file(path);
  const bool is_new = !fs::exists(fs::symlink_status(path));
  if (is_ours && is_file) path_ = fs::canonical(path);
  const fs::path folder = path_.parent_path();
  if (is_ours && (is_new || (is_file && may_be_replaced(path_))) && takes_files(folder)) {
    // Short: the name of the file may be as long as one can be.
    const std::string temporary = (folder / (".cellar-" + random_hex(6))).string();
    removed_.emplace(temporary);
    // Nobody reads of a secret file what comes into its place; finish() gives it its mode.
    new_.emplace(path_.string(), temporary, is_new ? 0666 : 0600);
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
  removed_.reset();
}

void LocalFile::make_executable() {
  const auto read = static_cast<unsigned>(fs::status(path_).permissions()) & 0444;
  fs::permissions(path_, fs::perms{read >> 2}, fs::perm_options::add);
}

}  // namespace cellar::cli
