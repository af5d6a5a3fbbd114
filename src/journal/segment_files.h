#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "journal/frame.h"
#include "journal/storage.h"

// How segments come into being on a disk that may lose power at any step, or be full. A segment is
// a file of zeros first, made ahead as a spare, so that nothing that is written later needs more
// room. A file has a segment's name only when its header, its full size in zeros and its first
// batch are durable; so one that is too short, or has no whole header, was damaged later.
namespace cellar::journal {

// No segment is larger than this, not even for a batch of kPendingBytesMax.
inline constexpr std::uint64_t kSegmentBytesMax = 128 << 20;

// One segment as the journal knows it.
struct Segment {
  std::uint64_t number = 0;
  Lsn first_lsn = 0;
  std::uint64_t salt = 0;
  std::uint64_t bytes = 0;  // size of the file
  std::uint64_t end = 0;    // where the next record goes
};

// "00000000000000000001.seg"
std::string segment_name(Lsn first_lsn);

// The first lsns of the segments in `storage`, in order.
std::vector<Lsn> list_segments(const Storage& storage);

// Removes what unfinished work left half-made. Blobs are not looked at.
void remove_leftovers(Storage& storage);

// The size of the spare that is there, which is all zeros then; 0 for none. It is kept, as there
// may be no room for another. Throws Error.
std::uint64_t take_over_spare(Storage& storage);

// Removes the segments that begin with these records, in order, each durably before the next: those
// that a crash leaves have no gap. Throws Error.
void remove_segments(Storage& storage, const std::vector<Lsn>& first_lsns);

// A segment that is to be begun, and the file of it afterwards.
struct NewSegment {
  Lsn first_lsn = 0;
  std::string header;
  std::uint64_t bytes = 0;
  std::unique_ptr<File> file;
};

// Makes of the spare, which has the segment's size, the segment with `batch` as its first one,
// durable when this returns. Throws Error.
void begin_segment(Storage& storage, NewSegment& segment, std::string_view batch);

// Makes a file of zeros that the next begin_segment() takes over, in place of the one there was.
// Leaves nothing behind where that fails. Throws Error.
void make_spare_segment(Storage& storage, std::uint64_t bytes);

// Writes zeros from `begin` up to `end`.
void write_zeros(File& file, std::uint64_t begin, std::uint64_t end);

}  // namespace cellar::journal
