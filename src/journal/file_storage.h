#pragma once

#include <string>

#include "journal/storage.h"
#include "sys/fd.h"

namespace cellar::journal {

// A real folder. The file LOCK in it keeps every other FileStorage out, also of another process, as
// long as this one exists.
class FileStorage : public Storage {
 public:
  // Makes the folder where it is missing; its own name is durable only when the caller has synced
  // the folder around it. Throws Error `conflict`, reason `journal_locked`, where another one has
  // it.
  explicit FileStorage(std::string dir);

  std::vector<std::string> list(const std::string& name) const override;
  std::vector<std::string> list_folders(const std::string& name) const override;
  std::unique_ptr<File> create(const std::string& name) override;
  std::unique_ptr<File> open(const std::string& name) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& name) override;
  void make_folder(const std::string& name) override;
  void sync_names(const std::string& name) override;

 private:
  std::string path_of(const std::string& name) const;

  std::string dir_;
  sys::Fd lock_;
};

}  // namespace cellar::journal
