#include "sys/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace cellar::sys {

NewFile::NewFile(std::string path, mode_t mode)
    : NewFile(path, path + ".tmp-" + random_hex(6), mode) {}

NewFile::NewFile(std::string path, std::string temporary, mode_t mode)
    : path_(std::move(path)),
      temporary_(std::move(temporary)),
      fd_(open_file(temporary_, O_RDWR | O_CREAT | O_EXCL, mode)) {}

NewFile::~NewFile() {
  if (fd_) ::unlink(temporary_.c_str());
}

void NewFile::write(std::string_view bytes) { write_all(fd_.get(), bytes, temporary_); }

void NewFile::skip(std::uint64_t size_bytes) {
  if (::lseek(fd_.get(), static_cast<off_t>(size_bytes), SEEK_CUR) == -1) {
    throw_errno("lseek", temporary_);
  }
}

void NewFile::keep_rights() {
  struct stat old = {};
  if (::stat(path_.c_str(), &old) == -1) {
    if (errno == ENOENT) return;
    throw_errno("stat", path_);
  }
  // Of a file of somebody else only the group may be given, or nothing.
  if (::fchown(fd_.get(), old.st_uid, old.st_gid) == -1) {
    [[maybe_unused]] const int unchanged = ::fchown(fd_.get(), static_cast<uid_t>(-1), old.st_gid);
  }
  if (::fchmod(fd_.get(), old.st_mode & 0777) == -1) throw_errno("fchmod", temporary_);
}

Fd NewFile::replace(Durable durable) {
  if (durable == Durable::yes) sync_data(fd_.get(), temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) == -1) throw_errno("rename", path_);
  Fd file = std::move(fd_);
  if (durable == Durable::yes) sync_dir(folder_of(path_));
  return file;
}

}  // namespace cellar::sys
