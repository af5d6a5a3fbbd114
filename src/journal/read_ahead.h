#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "journal/frame.h"
#include "journal/storage.h"

namespace cellar::journal {

// What was read of a segment behind a record that was asked for, for those that are asked for next.
// It reads more at a time the longer they lie behind one another, and little where they do not. A
// record that was written since does not look whole in it. Used by one thread.
class ReadAhead {
 public:
  // Bytes of the segment that begins with `first_lsn` from `offset` on: one record, where it is not
  // large, and maybe more. They are there until the next call.
  std::string_view at(const File& file, Lsn first_lsn, std::uint64_t offset);

 private:
  static constexpr std::size_t kBytesMin = 4 << 10;
  static constexpr std::size_t kBytesMax = 256 << 10;

  Lsn first_lsn_ = 0;
  std::uint64_t begin_ = 0;  // where `bytes_` lie in the segment
  std::string bytes_;
};

}  // namespace cellar::journal
