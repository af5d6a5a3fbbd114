#include "journal/read_ahead.h"

#include <algorithm>

namespace cellar::journal {

std::string_view ReadAhead::at(const File& file, Lsn first_lsn, std::uint64_t offset) {
  const std::uint64_t end = begin_ + bytes_.size();
  // Also where it was too large for what was read.
  const bool goes_on = first_lsn == first_lsn_ && offset >= begin_ && offset <= end + kBytesMax;
  if (!goes_on || offset + kBytesMin > end) {
    const std::size_t more = goes_on ? 2 * bytes_.size() : kBytesMin;
    bytes_ = file.read_at(offset, std::clamp(more, kBytesMin, kBytesMax));
    first_lsn_ = first_lsn;
    begin_ = offset;
  }
  return std::string_view(bytes_).substr(offset - begin_);
}

}  // namespace cellar::journal
