#include "journal/file_storage.h"

#include <fcntl.h>

#include <utility>

#include "base/error.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/lock_file.h"
#include "sys/positioned.h"

namespace cellar::journal {
namespace {

class RealFile : public File {
 public:
  RealFile(sys::Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  void write_at(std::uint64_t offset, std::string_view bytes) override {
    sys::write_all_at(fd_.get(), bytes, offset, path_);
  }
  void sync() override { sys::sync_data(fd_.get(), path_); }
  std::string read_at(std::uint64_t offset, std::size_t size) const override {
    return sys::read_at(fd_.get(), offset, size, path_);
  }
  std::uint64_t size() const override { return sys::file_size(fd_.get(), path_); }

 private:
  sys::Fd fd_;
  std::string path_;
};

}  // namespace

FileStorage::FileStorage(std::string dir) : dir_(std::move(dir)) {
  sys::make_dirs(dir_);
  auto lock = sys::try_lock_file(path_of("LOCK"));
  if (!lock) {
    throw Error(ErrorCode::conflict, "journal_locked",
                "journal " + dir_ + " is open already, in this process or another one");
  }
  lock_ = *std::move(lock);
}

std::vector<std::string> FileStorage::list(const std::string& name) const {
  const std::string path = path_of(name);
  return sys::exists(path) ? sys::files_in(path) : std::vector<std::string>();
}

std::vector<std::string> FileStorage::list_folders(const std::string& name) const {
  return sys::folders_in(path_of(name));
}

std::unique_ptr<File> FileStorage::create(const std::string& name) {
  const std::string path = path_of(name);
  return std::make_unique<RealFile>(
      sys::open_file(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600), path);
}

std::unique_ptr<File> FileStorage::open(const std::string& name) {
  const std::string path = path_of(name);
  auto fd = sys::open_file_if_exists(path, O_RDWR | O_NOFOLLOW);
  if (!fd) return nullptr;
  return std::make_unique<RealFile>(*std::move(fd), path);
}

void FileStorage::rename(const std::string& from, const std::string& to) {
  sys::rename_file(path_of(from), path_of(to));
}

void FileStorage::remove(const std::string& name) { sys::remove_file(path_of(name)); }

void FileStorage::make_folder(const std::string& name) { sys::make_dirs(path_of(name)); }

void FileStorage::sync_names(const std::string& name) { sys::sync_dir(path_of(name)); }

std::string FileStorage::path_of(const std::string& name) const {
  return name.empty() ? dir_ : dir_ + "/" + name;
}

}  // namespace cellar::journal
