#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/reading.h"
#include "checkpoint/record.h"
#include "checkpoint/store.h"
#include "sys/tree_walk.h"

namespace cellar::checkpoint {

struct Limits {
  std::uint64_t files_max = 200'000;                       // names
  std::uint64_t name_bytes_max = std::uint64_t{64} << 20;  // of them, in memory
  std::uint64_t file_bytes_max = std::uint64_t{1} << 30;   // a larger file is named only
  std::uint64_t bytes_max = std::uint64_t{64} << 30;       // of all files that are kept
  std::uint64_t stored_bytes_max = 0;                      // of all checkpoints on the disk
};

// An earlier checkpoint, whose files need not be read again where they are the same.
struct Earlier {
  WallTime created_at;
  std::vector<File> files;  // in order
};

// Whether the file is `known` still, as far as its inode and times say: it has changed last a good
// while before it was read, so that no later change has the same times.
bool is_still(const File& known, WallTime known_at, const File& now) noexcept;

// What a walk found, without its bytes.
File file_of(sys::DirEntry& entry);

// Takes the files below a cell's folder into a store, in small steps, so that others have their
// turn. What a cell does meanwhile ends in one of these ways:
//
//   a file that changes while it is read     read again, at last as it was then, and counted
//   one that goes, or is no file any more    left out
//   a pipe, socket or device                 left out, and counted; never opened
//   a file above `file_bytes_max`            named without its bytes, and counted
//
// Blocking; not thread-safe. All it is given must outlive it.
class Taker {
 public:
  static constexpr int kReadsMax = 3;

  // Comes after Store::begin(). `database` is a copy of the cell's, made by Store::new_object();
  // empty: there is none.
  Taker(const sys::BeneathDir& work, Store& store, const Limits& limits,
        std::optional<Earlier> earlier, std::string database);

  // False once all is taken. Throws Error `too_large`, reason `checkpoint_too_large`, and
  // `exhausted`, reason `checkpoint_quota`.
  bool step();
  // Fills in what it found. Comes at the end.
  void tell(Head& head) const;
  const std::vector<File>& files() const noexcept { return files_; }

 private:
  void add(sys::DirEntry& entry);
  void order();
  bool begin_file();
  void end_file();
  void leave_out();
  void end_database();
  void count(std::uint64_t bytes);
  void keep(const std::string& path, const File& file);
  const File* earlier_of(const std::string& path) const;

  const sys::BeneathDir& work_;
  Store& store_;
  const Limits limits_;
  const std::optional<Earlier> earlier_;
  const std::string database_;
  sys::TreeWalk walk_;
  bool is_walked_ = false;
  std::uint64_t name_bytes_ = 0;
  std::vector<File> files_;
  std::size_t next_ = 0;  // of files_
  int reads_ = 0;         // of that file
  std::string copy_;      // where it is being written
  std::unique_ptr<Reading> reading_;
  std::uint64_t new_bytes_ = 0;
  Head found_;
};

}  // namespace cellar::checkpoint
