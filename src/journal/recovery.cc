#include "journal/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/sha256.h"

namespace cellar::journal {
namespace {

// How many bytes may be checksummed to tell a torn tail from damage. Bodies come from the cell and
// may be full of what looks like records.
constexpr std::uint64_t kLookAheadBytesMax = 512 << 20;
// A segment is read whole. One that was made before they had a limit may be larger than that.
constexpr std::uint64_t kReadableBytesMax = 1 << 30;
constexpr std::uint16_t kKnownFlags = kBatchEnd | kBlob | kHint;

bool is_zero(std::string_view bytes) noexcept {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

// Reads one journal, segment by segment.
class SegmentReader {
 public:
  SegmentReader(Storage& storage, const std::string& cell_id,
                const std::function<void(const Record&)>& visit)
      : storage_(storage), cell_id_(cell_id), visit_(visit) {}

  Recovered read() {
    const std::vector<Lsn> names = list_segments(storage_);
    if (!names.empty()) recovered_.index = RecordIndex(names.front());
    for (std::size_t i = 0; i < names.size(); ++i) {
      name_ = segment_name(names[i]);
      open_segment(names[i]);
      scan();
      if (i + 1 < names.size()) {
        if (names[i + 1] != next_lsn()) {
          throw_damaged(fmt::format("ends before record {}, but the next segment begins with {}",
                                    next_lsn(), names[i + 1]));
        }
      } else {
        check_tail();
      }
    }
    if (!names.empty()) {
      check_begin();
      repair();
    }
    remove_leftovers(storage_);
    recovered_.spare_bytes = take_over_spare(storage_);
    return std::move(recovered_);
  }

 private:
  Lsn next_lsn() const noexcept { return recovered_.index.last() + 1; }
  Segment& segment() noexcept { return recovered_.segments.back(); }

  [[noreturn]] void throw_damaged(const std::string& what) const {
    throw Error(ErrorCode::corrupt, "journal_corrupt",
                fmt::format("journal of cell {}: {} {}", cell_id_, name_, what),
                "restore the cell from a backup; the journal was left as it is");
  }
  [[noreturn]] void throw_too_new(const std::string& what) const {
    throw Error(ErrorCode::corrupt, "journal_too_new",
                fmt::format("journal of cell {}: {} {}; this is version {} of the format", cell_id_,
                            name_, what, kFormatVersion),
                "use the version of cellard that wrote it, or a later one");
  }

  void open_segment(Lsn first_lsn) {
    recovered_.active = storage_.open(name_);
    if (!recovered_.active) throw_damaged("vanished while it was read");
    const std::uint64_t size = recovered_.active->size();
    if (size < kHeaderBytes || size > kReadableBytesMax) {
      throw_damaged(fmt::format("has {} bytes", size));
    }
    bytes_ = recovered_.active->read_at(0, size);
    const auto header = decode_header(bytes_);
    if (!header) throw_damaged("has a damaged header");
    if (header->min_reader > kFormatVersion) {
      throw_too_new(fmt::format("needs a reader of version {}", header->min_reader));
    }
    check_header(*header, first_lsn);
    version_ = header->version;
    recovered_.chain = bytes_.substr(0, kHeaderBytes);
    recovered_.segments.push_back({.number = header->segment_no,
                                   .first_lsn = header->first_lsn,
                                   .salt = header->salt,
                                   .bytes = size,
                                   .end = kHeaderBytes});
  }

  void check_header(const SegmentHeader& header, Lsn first_lsn) const {
    if (header.cell_id != cell_id_) {
      throw_damaged(fmt::format("belongs to cell {}", header.cell_id));
    }
    if (header.first_lsn != first_lsn) throw_damaged("has not the name its header says");
    if (header.first_lsn != next_lsn()) {
      throw_damaged(fmt::format("should begin with record {}: a segment is missing", next_lsn()));
    }
    if (header.segment_bytes != bytes_.size()) {
      throw_damaged(fmt::format("has {} bytes, not {}", bytes_.size(), header.segment_bytes));
    }
    const bool is_first = recovered_.segments.empty();
    if (is_first && first_lsn != 1) return;  // What it continues is gone.
    const std::uint64_t number = is_first ? 1 : recovered_.segments.back().number + 1;
    if (header.segment_no != number) {
      throw_damaged(fmt::format("is number {}, not {}", header.segment_no, number));
    }
    const std::string digest =
        is_first ? std::string(kDigestBytes, '\0') : sha256(recovered_.chain);
    if (header.prev_segment_digest != digest) throw_damaged("does not continue the one before it");
  }

  // Segments may be missing in front where a later record says that they may go.
  void check_begin() {
    const Lsn first = recovered_.index.first();
    const Lsn kept = std::max<Lsn>(recovered_.first_kept, 1);
    name_ = segment_name(first);
    if (first > kept) throw_damaged("should begin with an earlier record: a segment is missing");
    const auto begins_kept = [kept](const Segment& each) { return each.first_lsn == kept; };
    if (first < kept &&
        std::none_of(recovered_.segments.begin(), recovered_.segments.end(), begins_kept)) {
      throw_damaged(fmt::format("may go up to record {}, with which no segment begins", kept));
    }
  }

  // Takes over every whole batch.
  void scan() {
    const std::string_view bytes = bytes_;
    std::vector<Frame> batch;
    last_batch_ = segment().end;
    for (std::size_t at = segment().end;;) {
      const auto frame = decode_frame(bytes.substr(at), segment().salt);
      if (!frame || frame->lsn != next_lsn() + batch.size()) return;
      at += frame->size;
      batch.push_back(*frame);
      if ((frame->head.flags & kBatchEnd) == 0) continue;
      take(batch);
      last_batch_ = segment().end;
      segment().end = at;
      batch.clear();
    }
  }

  void take(const std::vector<Frame>& batch) {
    std::size_t offset = segment().end;
    for (const Frame& frame : batch) {
      const bool is_readable = is_known(frame.head.type) && (frame.head.flags & ~kKnownFlags) == 0;
      if (!is_readable && (frame.head.flags & kHint) == 0) {
        throw_too_new(fmt::format(
            "was written by version {} and holds record {} of type {}, "
            "flags {:#x}, that this version cannot read",
            version_, frame.lsn, static_cast<unsigned>(frame.head.type), frame.head.flags));
      }
      recovered_.index.add({.segment = static_cast<std::uint32_t>(segment().number),
                            .offset = static_cast<std::uint32_t>(offset),
                            .run = frame.head.run,
                            .type = frame.head.type});
      put_le(recovered_.chain, frame.crc);
      offset += frame.size;
      note(frame);
      if (is_readable) visit_(to_record(frame));
    }
  }

  // What the journal itself has to know of a record.
  void note(const Frame& frame) {
    if ((frame.head.flags & kBlob) != 0) {
      if (const auto blob = blob_in(frame.body)) recovered_.blobs.add(frame.lsn, *blob);
    }
    if (frame.head.type != Type::trim) return;
    if (const auto trim = Trim::decode(frame.body)) recovered_.first_kept = trim->first_kept;
  }

  // Whether what follows the last whole batch is nothing, a torn batch, or damage to records that
  // had been acknowledged: then a later one says that they were durable.
  void check_tail() {
    const std::string_view tail = std::string_view(bytes_).substr(segment().end);
    if (is_zero(tail)) return;
    std::uint64_t budget_bytes = kLookAheadBytesMax;
    for (std::size_t at = 0; at + kRecordHeadBytes <= tail.size(); at += 8) {
      const auto lsn = get_le<Lsn>(tail, at + 8);
      const auto durable_lsn = get_le<Lsn>(tail, at + 16);
      if (durable_lsn < next_lsn() || lsn <= durable_lsn) continue;
      const auto plausible = decode_unsealed_frame(tail.substr(at));
      if (!plausible) continue;
      if (plausible->size > budget_bytes) {
        throw_damaged(
            fmt::format("is damaged at byte {}, and holds too much that looks like a "
                        "record to find out whether anything was acknowledged there",
                        segment().end));
      }
      budget_bytes -= plausible->size;
      if (decode_frame(tail.substr(at), segment().salt)) {
        throw_damaged(
            fmt::format("is damaged at byte {}, record {}: record {} at byte {} says "
                        "that all up to {} had been acknowledged",
                        segment().end, next_lsn(), lsn, segment().end + at, durable_lsn));
      }
    }
    recovered_.cut_bytes = tail.find_last_not_of('\0') + 1;
  }

  // The last batch may be there in the kernel's memory only: its writer was killed before its sync,
  // or its sync failed and the kernel has marked the lost pages clean. So it is written again, and
  // synced, before anybody relies on it. The same holds for the name of its segment.
  void repair() {
    File& file = *recovered_.active;
    fault_point("recovery.before_write");
    write_zeros(file, segment().end, segment().end + recovered_.cut_bytes);
    file.write_at(last_batch_,
                  std::string_view(bytes_).substr(last_batch_, segment().end - last_batch_));
    fault_point("recovery.before_sync");
    file.sync();
    fault_point("recovery.before_names_sync");
    storage_.sync_names("");
    fault_point("recovery.after_names_sync");
  }

  Storage& storage_;
  const std::string& cell_id_;
  const std::function<void(const Record&)>& visit_;
  Recovered recovered_;
  // Of the segment that is read now:
  std::string name_;
  std::string bytes_;
  std::uint32_t version_ = 0;
  std::uint64_t last_batch_ = 0;  // where its last whole batch begins
};

}  // namespace

Recovered recover(Storage& storage, const std::string& cell_id,
                  const std::function<void(const Record&)>& visit) {
  return SegmentReader(storage, cell_id, visit).read();
}

}  // namespace cellar::journal
