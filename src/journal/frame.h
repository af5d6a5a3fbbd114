#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The bytes of a journal, kept readable for ever. All integers are little-endian.
//
// A segment is a file of a fixed size: a header of 4096 bytes, then records back to back, each at a
// multiple of 8, then zeros.
//
// clang-format off
//   header: offset size
//     0       8  magic "CELLJRN1"
//     8       4  version of the writer
//    12       4  min_reader: refuse if newer
//    16       4  bytes of the cell id
//    20     236  cell id, zeros behind it
//   256       8  segment_no: 1, 2, 3 …
//   264       8  first_lsn, also its name
//   272       8  salt, random
//   280      32  prev_segment_digest
//   312       8  created_ns since 1970
//   320       8  segment_bytes, the size of the file
//   328    3764  zeros, not looked at
//  4092       4  crc32c of bytes 0 … 4091
//
//   record: offset size
//     0       4  crc32c of bytes 4 … end of the padding
//     4       4  len: bytes of the body
//     8       8  lsn, one more than the record before
//    16       8  durable_lsn: the highest lsn that was durable when this batch was written
//    24       4  run: number of the run in the cell, 0: none
//    28       4  ordinal of the command in the run, 0: none
//    32       2  type
//    34       2  flags
//    36       8  t_ns since 1970: the wall clock, which may have been set back
//    44     len  body, canonical CBOR
//  44+len  0…7   zeros up to a multiple of 8
// clang-format on
//
// The checksum of a record runs over the 8 bytes of (salt XOR lsn) first, so that what an earlier
// life of the same disk block left behind never passes for a record of this one.
//
// prev_segment_digest is the SHA-256 of the segment before: its header, then the crc32c fields of
// its records in order, 4 bytes each. Zeros in the first segment.
namespace cellar::journal {

// The place of a record in its journal: 1, 2, 3, … with no gaps. 0 means "before the first".
using Lsn = std::uint64_t;

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kHeaderBytes = 4096;
inline constexpr std::size_t kRecordHeadBytes = 44;
inline constexpr std::size_t kBodyBytesMax = 16 << 20;
inline constexpr std::size_t kCellIdBytesMax = 236;
inline constexpr std::size_t kDigestBytes = 32;

// What a record says. Numbers are never given twice; those without a body in records.h are
// reserved, and this version refuses a journal that holds one.
enum class Type : std::uint16_t {
  run_created = 1,
  run_attempt = 2,
  step_start = 3,
  step_attempt_failed = 4,
  step_end = 5,
  step_interrupted = 6,
  fs_applied = 7,
  fs_checkpoint = 8,
  timer_set = 9,
  timer_fired = 10,
  wait_set = 11,
  event_received = 12,
  wait_matched = 13,
  approval_requested = 14,
  approval_resolved = 15,
  child_started = 16,
  child_ended = 17,
  value = 18,
  version = 19,
  removed = 20,
  progress = 21,
  cancel_requested = 22,
  paused = 23,
  resumed = 24,
  run_ended = 25,
  snapshot = 26,
  forked_from = 27,
  trim = 28,
  event = 29,
  continued = 30,
  upgraded = 31,
  left = 32,
  carried = 33,
};
// "run_created", …; "unknown" for numbers that have no name yet.
std::string_view to_string(Type type) noexcept;
// Whether this version knows the body of `type`.
bool is_known(Type type) noexcept;

inline constexpr std::uint16_t kBatchEnd = 1;  // The last record of an atomic batch.
inline constexpr std::uint16_t kBlob = 2;      // The body names a blob that must be kept.
inline constexpr std::uint16_t kZstd = 4;      // Reserved: the body is compressed.
inline constexpr std::uint16_t kAead = 8;      // Reserved: the body is encrypted.
inline constexpr std::uint16_t kHint = 16;     // Nothing depends on it: skip it where unknown.

// What the appender says about a record.
struct RecordHead {
  std::uint32_t run = 0;
  std::uint32_t ordinal = 0;
  Type type = Type::event;
  std::uint16_t flags = 0;  // kBlob, kHint
  std::uint64_t t_ns = 0;   // 0: now, to Journal::append()
};

// A record as it is read.
struct Record {
  Lsn lsn = 0;
  std::uint32_t run = 0;
  std::uint32_t ordinal = 0;
  Type type = Type::event;
  std::uint16_t flags = 0;
  std::uint64_t t_ns = 0;
  std::string body;
};

// A record in the bytes it was found in, which must outlive it.
struct Frame {
  std::uint32_t crc = 0;
  Lsn lsn = 0;
  Lsn durable_lsn = 0;
  RecordHead head;
  std::string_view body;
  std::size_t size = 0;  // head, body and padding
};

struct SegmentHeader {
  std::uint32_t version = kFormatVersion;
  std::uint32_t min_reader = kFormatVersion;
  std::string cell_id;
  std::uint64_t segment_no = 0;
  Lsn first_lsn = 0;
  std::uint64_t salt = 0;
  std::string prev_segment_digest = std::string(kDigestBytes, '\0');
  std::uint64_t created_ns = 0;
  std::uint64_t segment_bytes = 0;
};

// Bytes that a record with a body of `body_bytes` takes.
constexpr std::size_t frame_size(std::size_t body_bytes) noexcept {
  return (kRecordHeadBytes + body_bytes + 7) / 8 * 8;
}

// Appends the record to `out` with no checksum and a durable_lsn of 0: seal_frame() fills them in.
void encode_frame(std::string& out, Lsn lsn, const RecordHead& head, std::string_view body);

// Completes the record at `frame`, which encode_frame() made: its durable_lsn, flags to add, and
// the checksum, which is returned.
std::uint32_t seal_frame(char* frame, std::uint64_t salt, Lsn durable_lsn,
                         std::uint16_t add_flags) noexcept;

// The record at the start of `bytes`, or nullopt where there is none that is whole. Never throws
// and never reads past `bytes`, whatever they hold.
std::optional<Frame> decode_frame(std::string_view bytes, std::uint64_t salt) noexcept;
// The same without looking at checksum and padding: for bytes that have not been sealed.
std::optional<Frame> decode_unsealed_frame(std::string_view bytes) noexcept;

Record to_record(const Frame& frame);

// kHeaderBytes bytes. The cell id must be within kCellIdBytesMax.
std::string encode_header(const SegmentHeader& header);
// nullopt where `bytes` do not start with a whole header of this format, of whatever version.
std::optional<SegmentHeader> decode_header(std::string_view bytes);

}  // namespace cellar::journal
