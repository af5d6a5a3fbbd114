#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "sys/new_file.h"
#include "sys/removed_at_ending.h"

namespace cellar::cli {

// A file here that a copy is written to. It takes its place when it is whole: a copy that breaks
// off, or is ended by a signal, leaves what was there. What is no file (/dev/stdout, a pipe) is
// written as it comes; so is one with several names, and one whose folder takes no other file. What
// open(2) would not open for writing stays as it is. Throws Error. One exists at a time; not
// thread-safe.
class LocalFile {
 public:
  explicit LocalFile(const std::filesystem::path& path);

  void write(std::string_view bytes);
  // Nothing is written after that. It has the mode of what it replaces.
  void finish();
  // No device, pipe or the like.
  bool is_file() const { return std::filesystem::is_regular_file(path_) || new_; }
  // Lets whoever may read it run it, too; after finish().
  void make_executable();

 private:
  std::filesystem::path path_;  // of what links lead to
  std::optional<sys::RemovedAtEnding> removed_;
  std::optional<sys::NewFile> new_;
  sys::Fd in_place_;
};

}  // namespace cellar::cli
