#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/sha256.h"
#include "sys/beneath.h"

namespace cellar::checkpoint {

// Reads a file of a cell piece by piece, as far as it went when it was opened: its digest, and a
// copy of it where that is wanted. Long zeros become holes of the copy. Blocking; not thread-safe.
class Reading {
 public:
  static constexpr std::size_t kPieceBytes = 1 << 20;

  // `copy`: the path of the new file; empty: none. Where the file system can, it shares the bytes
  // of the file, and what is read is that.
  Reading(sys::OpenFile file, const std::string& copy);

  // False once all is read.
  bool step();
  // Comes at the end.
  std::string digest() { return sum_.hex(); }
  std::uint64_t size_bytes() const noexcept { return offset_; }
  // Writes a file of at most one piece, which was not copied, to the new file `path`, and gives
  // that.
  std::string save(std::string path) const;
  // What it was when it was opened.
  const sys::FileStat& stat() const noexcept { return file_.stat; }

 private:
  void write(std::string_view piece, std::uint64_t offset);

  sys::OpenFile file_;
  sys::Fd copy_;
  bool is_clone_ = false;
  std::string whole_;  // of a file of one piece that is not copied
  std::uint64_t offset_ = 0;
  std::uint64_t end_;
  Sha256 sum_;
};

}  // namespace cellar::checkpoint
