#include "sys/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace cellar::sys {

NewFile::NewFile(std::string path, mode_t mode)
    : path_(std::move(path)),
      temporary_(path_ + ".tmp-" + random_hex(6)),
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

Fd NewFile::replace(Durable durable) {
  if (durable == Durable::yes) sync_data(fd_.get(), temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) == -1) throw_errno("rename", path_);
  Fd file = std::move(fd_);
  if (durable == Durable::yes) sync_dir(std::filesystem::path(path_).parent_path().string());
  return file;
}

}  // namespace cellar::sys
