#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "journal/frame.h"
#include "journal/storage.h"

// How segments come into being on a disk that may lose power at any step. A file has a segment's
// name only when its header, its full size in zeros and its first batch are durable; so a segment
// that is too short, or has no whole header, was damaged later.
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

// Removes what unfinished work left: half-made segments and spares. Blobs are not looked at.
void remove_leftovers(Storage& storage);

// Removes the segments that begin with these records, in order, each durably before the next: those
// that a crash leaves have no gap. Throws Error.
void remove_segments(Storage& storage, const std::vector<Lsn>& first_lsns);

enum class Source : std::uint8_t { fresh, spare };

// A segment that is to be begun, and the file of it afterwards.
struct NewSegment {
  Lsn first_lsn = 0;
  std::string header;
  std::uint64_t bytes = 0;
  Source source = Source::fresh;
  std::unique_ptr<File> file;
};

// Makes the segment with `batch` as its first one, durable when this returns. From a spare where
// `source` says so and there is one of the right size. Throws Error.
void begin_segment(Storage& storage, NewSegment& segment, std::string_view batch);

// Makes a file of zeros that a later begin_segment() takes over.
void make_spare_segment(Storage& storage, std::uint64_t bytes);

// Writes zeros from `begin` up to `end`.
void write_zeros(File& file, std::uint64_t begin, std::uint64_t end);

}  // namespace cellar::journal
