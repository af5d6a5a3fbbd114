#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// The seam to the disk. It has only what a file system has, each call one step that can fail or be
// the last one before the power goes; what makes a segment or a blob durable out of such steps is
// in segment_files.* and blobs.*, where sim_storage.* can interrupt it anywhere.
namespace cellar::journal {

// One open file. Calls on different files may come from different threads, and so may reads of one
// file beside one writer.
class File {
 public:
  virtual ~File() = default;

  // Writes all of `bytes`, in one call of the system where it takes them. Throws Error.
  virtual void write_at(std::uint64_t offset, std::string_view bytes) = 0;
  // Makes what was written durable. Throws Error; then it must not be called again on this file
  // (docs/adr/0003).
  virtual void sync() = 0;
  // The bytes at `offset`: fewer than `size` only at the end of the file. Throws Error.
  virtual std::string read_at(std::uint64_t offset, std::size_t size) const = 0;
  virtual std::uint64_t size() const = 0;
};

// A folder of one journal. Names are relative, with '/' between folder and file. Any thread. All
// calls block, and throw Error where not said otherwise.
class Storage {
 public:
  virtual ~Storage() = default;

  // The names of files in the folder `name`, in no order; none where there is no such folder. "" is
  // the journal's own.
  virtual std::vector<std::string> list(const std::string& name) const = 0;
  // The same of the folders in it.
  virtual std::vector<std::string> list_folders(const std::string& name) const = 0;
  // Makes a new file, or empties the one that is there.
  virtual std::unique_ptr<File> create(const std::string& name) = 0;
  // nullptr where there is none.
  virtual std::unique_ptr<File> open(const std::string& name) = 0;
  // Replaces what `to` was.
  virtual void rename(const std::string& from, const std::string& to) = 0;
  // Nothing happens where there is none.
  virtual void remove(const std::string& name) = 0;
  virtual void make_folder(const std::string& name) = 0;
  // Makes durable which names are in the folder `name`.
  virtual void sync_names(const std::string& name) = 0;
};

}  // namespace cellar::journal
