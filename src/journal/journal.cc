#include "journal/journal.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/random.h"
#include "base/sha256.h"
#include "journal/recovery.h"

namespace cellar::journal {
namespace {

// Most records fit in what is read at first.
constexpr std::size_t kReadBytes = 4096;
// A buffer that a burst made larger than this is given back.
constexpr std::size_t kBufferBytesKept = 256 << 10;

// For records, in a spare of so many bytes.
std::uint64_t room_of(std::uint64_t spare_bytes) noexcept {
  return spare_bytes - std::min<std::uint64_t>(spare_bytes, kHeaderBytes);
}

std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(wall_now().time_since_epoch()).count());
}

}  // namespace

Journal::Journal(Storage& storage, Options options, const Visit& visit)
    : storage_(storage), options_(std::move(options)) {
  if (options_.cell_id.size() > kCellIdBytesMax) {
    throw Error(ErrorCode::invalid_argument, "the id of the cell is too long for its journal");
  }
  Recovered recovered = recover(storage_, options_.cell_id, visit);
  index_ = std::move(recovered.index);
  blobs_ = std::move(recovered.blobs);
  segments_ = std::move(recovered.segments);
  active_ = std::move(recovered.active);
  if (active_) active_first_lsn_ = segments_.back().first_lsn;
  chain_ = std::move(recovered.chain);
  cut_bytes_ = recovered.cut_bytes;
  spare_bytes_ = recovered.spare_bytes;
  last_durable_ = index_.last();
  try {
    // A crash came between.
    if (recovered.first_kept > first()) remove(trim(recovered.first_kept));
    remove_blobs_but(storage_, blobs_);
  } catch (const Error&) {  // All that is needed is there.
    removal_failed();
  }
}

void Journal::require_working() const {
  if (!broken_) return;
  throw Error(ErrorCode::unavailable, "journal_io_error",
              "the journal of cell " + options_.cell_id +
                  " could not be written; it has to be opened again");
}

// ---- writing ----

void Journal::require_body(std::size_t bytes) {
  if (bytes <= kBodyBytesMax) return;
  throw Error(ErrorCode::too_large, "record_too_large",
              "a record of " + std::to_string(bytes) + " bytes is above the limit of " +
                  std::to_string(kBodyBytesMax));
}

void Journal::require_takes(std::uint64_t frame_bytes) const {
  if (pending_bytes() + frame_bytes <= kPendingBytesMax) return;
  throw Error(
      ErrorCode::exhausted, "journal_backlog",
      "the disk is too slow for what the journal of cell " + options_.cell_id + " has to take");
}

Lsn Journal::append(const RecordHead& head, std::string_view body) {
  require_working();
  require_body(body.size());
  require_takes(frame_size(body.size()));
  RecordHead timed = head;
  if (timed.t_ns == 0) timed.t_ns = now_ns();
  const Lsn lsn = index_.add({.segment = RecordIndex::kNoSegment,
                              .offset = static_cast<std::uint32_t>(pending_.size()),
                              .run = head.run,
                              .type = head.type});
  encode_frame(pending_, lsn, timed, body);
  if ((head.flags & kBlob) != 0) {
    if (const auto blob = blob_in(body)) blobs_.add(lsn, *blob);
  }
  return lsn;
}

Batch Journal::seal() {
  require_working();
  CELLAR_CHECK(dirty() && has_room() && in_flight_.empty());
  in_flight_.swap(pending_);
  Batch batch;
  batch.first_ = last_durable_ + 1;
  batch.last_ = index_.last();
  batch.bytes_ = in_flight_;
  const bool leaves =
      leaves_segment_ && room_of(spare_bytes_) >= std::max(left_bytes(), in_flight_.size());
  if (leaves || in_flight_.size() > left_bytes()) {
    batch.begin_ = next_segment(batch.first_);
    leaves_segment_ = false;
  } else {
    batch.file_ = active_.get();
  }
  Segment& segment = segments_.back();
  batch.offset_ = segment.end;
  for (Lsn lsn = batch.first_; lsn <= batch.last_; ++lsn) {
    char* const frame = in_flight_.data() + index_.at(lsn).offset;
    put_le(chain_, seal_frame(frame, segment.salt, last_durable_,
                              lsn == batch.last_ ? kBatchEnd : std::uint16_t{0}));
  }
  index_.place(batch.first_, static_cast<std::uint32_t>(segment.number),
               static_cast<std::uint32_t>(segment.end));
  segment.end += in_flight_.size();
  return batch;
}

// The segment that the spare becomes; it is the last of segments_ then.
std::unique_ptr<NewSegment> Journal::next_segment(Lsn first_lsn) {
  SegmentHeader header;
  header.cell_id = options_.cell_id;
  header.segment_no = segments_.empty() ? 1 : segments_.back().number + 1;
  header.first_lsn = first_lsn;
  header.salt = random_u64();
  if (!segments_.empty()) header.prev_segment_digest = sha256(chain_);
  header.created_ns = now_ns();
  header.segment_bytes = std::exchange(spare_bytes_, 0);
  auto begun = std::make_unique<NewSegment>();
  begun->first_lsn = first_lsn;
  begun->header = encode_header(header);
  begun->bytes = header.segment_bytes;
  chain_ = begun->header;
  segments_.push_back({.number = header.segment_no,
                       .first_lsn = first_lsn,
                       .salt = header.salt,
                       .bytes = header.segment_bytes,
                       .end = kHeaderBytes});
  return begun;
}

std::uint64_t Journal::size_of_next_segment() const noexcept {
  std::uint64_t size = options_.first_segment_bytes;
  const std::uint64_t before = segments_.empty() ? 0 : segments_.back().number;
  for (std::uint64_t i = 0; i < before && size < options_.segment_bytes_max; ++i) size *= 4;
  return std::min(size, options_.segment_bytes_max);
}

void Journal::write(Batch& batch) const {
  if (batch.begin_) {
    begin_segment(storage_, *batch.begin_, batch.bytes_);
  } else {
    fault_point("journal.before_write");
    batch.file_->write_at(batch.offset_, batch.bytes_);
    fault_point("journal.before_sync");
    batch.file_->sync();
    fault_point("journal.after_sync");
  }
}

void Journal::committed(Batch&& batch) {
  CELLAR_CHECK(!broken_ && batch.bytes_.data() == in_flight_.data());
  if (batch.begin_) {
    active_ = std::move(batch.begin_->file);
    active_first_lsn_ = batch.begin_->first_lsn;
  }
  last_durable_ = batch.last_;
  in_flight_.clear();
  if (in_flight_.capacity() > kBufferBytesKept) in_flight_.shrink_to_fit();
}

void Journal::failed() noexcept { broken_ = true; }

// ---- room ----

std::uint64_t Journal::left_bytes() const noexcept {
  return segments_.empty() ? 0 : segments_.back().bytes - segments_.back().end;
}

bool Journal::has_room() const noexcept {
  return pending_.size() <= std::max(left_bytes(), room_of(spare_bytes_));
}

// A batch is not divided: what fits in neither of both has no place, though it may fit in both.
std::uint64_t Journal::room_bytes() const noexcept {
  const std::uint64_t spare = std::max(spare_bytes_, left_spare_bytes_);
  const std::uint64_t room = std::max(left_bytes(), room_of(spare));
  return room - std::min<std::uint64_t>(room, pending_.size());
}

std::uint64_t Journal::wanted_spare_bytes(std::uint64_t more_bytes) const noexcept {
  if (broken_) return 0;
  const bool is_taken = !segments_.empty() && segments_.back().first_lsn > last_durable_;
  if (is_taken) return 0;  // The last spare is on its way.
  if (!has_room() || room_bytes() < more_bytes) {
    CELLAR_CHECK(more_bytes <= kRoomBytesMax);
    const std::uint64_t needed = kHeaderBytes + pending_.size() + more_bytes;
    if (needed <= size_of_next_segment()) return size_of_next_segment();
    // A part more: what is wanted bit by bit would have all of it written anew for each bit.
    const std::uint64_t bytes = needed + needed / 4;
    return std::min((bytes + kHeaderBytes - 1) / kHeaderBytes * kHeaderBytes, kSegmentBytesMax);
  }
  if (spare_bytes_ > 0 || segments_.empty()) return 0;
  const bool is_half_full = segments_.back().end > segments_.back().bytes / 2;
  return is_half_full || leaves_segment_ ? size_of_next_segment() : 0;
}

std::uint64_t Journal::leave_spare() noexcept {
  left_spare_bytes_ = std::exchange(spare_bytes_, 0);
  return left_spare_bytes_;
}

void Journal::make_spare(std::uint64_t bytes) const { make_spare_segment(storage_, bytes); }

void Journal::spare_made(std::uint64_t bytes) noexcept {
  spare_bytes_ = bytes;
  left_spare_bytes_ = 0;
}

std::uint64_t Journal::stored_bytes() const noexcept {
  std::uint64_t bytes = spare_bytes_ + blobs_.bytes();
  for (const Segment& segment : segments_) bytes += segment.bytes;
  return bytes;
}

// ---- forgetting ----

Lsn Journal::segment_begin(Lsn lsn) const { return segment_of(index_.at(lsn)).first_lsn; }

Journal::Trimmed Journal::trim(Lsn first_kept) {
  CELLAR_CHECK(may_trim_ && first_kept <= last_durable_ && segment_begin(first_kept) == first_kept);
  Trimmed trimmed;
  const auto goes = [first_kept](const Segment& segment) { return segment.first_lsn < first_kept; };
  for (const Segment& segment : segments_) {
    if (goes(segment)) trimmed.segments.push_back(segment.first_lsn);
  }
  std::erase_if(segments_, goes);
  index_.drop_before(first_kept);
  trimmed.blobs = blobs_.drop_before(first_kept);
  if (reader_first_lsn_ < first_kept) {  // It takes up space as long as it is open.
    reader_.reset();
    reader_first_lsn_ = 0;
  }
  return trimmed;
}

void Journal::remove(const Trimmed& trimmed) const {
  remove_segments(storage_, trimmed.segments);
  remove_blobs(storage_, trimmed.blobs);
}

// ---- values ----

BlobRef Journal::put_blob(std::string_view bytes) const {
  return journal::put_blob(storage_, bytes);
}

Payload Journal::store(std::string value) const {
  Payload payload;
  if (value.size() > kInlineBytesMax) {
    payload.blob = put_blob(value);
  } else {
    payload.bytes = std::move(value);
  }
  return payload;
}

std::string Journal::load(const Payload& payload) const {
  return payload.blob ? get_blob(storage_, *payload.blob) : payload.bytes;
}

// ---- reading ----

Record Journal::read(Lsn lsn, ReadAhead* ahead) const {
  if (lsn < first() || lsn > (broken_ ? last_durable_ : index_.last())) {
    throw Error(
        ErrorCode::not_found, "record_not_found",
        "the journal of cell " + options_.cell_id + " has no record " + std::to_string(lsn));
  }
  const RecordIndex::Entry& entry = index_.at(lsn);
  return lsn > last_durable_ ? read_in_memory(entry) : read_on_disk(entry, lsn, ahead);
}

Record Journal::read_in_memory(const RecordIndex::Entry& entry) const {
  std::string_view bytes = pending_;
  std::size_t offset = entry.offset;
  if (entry.segment != RecordIndex::kNoSegment) {
    bytes = in_flight_;
    offset -= segments_.back().end - in_flight_.size();
  }
  const auto frame = decode_unsealed_frame(bytes.substr(offset));
  CELLAR_CHECK(frame.has_value());
  return to_record(*frame);
}

Record Journal::read_on_disk(const RecordIndex::Entry& entry, Lsn lsn, ReadAhead* ahead) const {
  const Segment& segment = segment_of(entry);
  const File& file = file_of(segment);
  if (ahead != nullptr) {
    const std::string_view there = ahead->at(file, segment.first_lsn, entry.offset);
    const auto frame = decode_frame(there, segment.salt);
    if (frame && frame->lsn == lsn) return to_record(*frame);
  }
  std::string bytes = file.read_at(entry.offset, kReadBytes);
  if (bytes.size() >= kRecordHeadBytes) {
    const std::size_t size = frame_size(get_le<std::uint32_t>(bytes, 4));
    if (size > bytes.size() && size <= frame_size(kBodyBytesMax)) {
      bytes += file.read_at(entry.offset + bytes.size(), size - bytes.size());
    }
  }
  const auto frame = decode_frame(bytes, segment.salt);
  if (!frame || frame->lsn != lsn) {
    throw Error(ErrorCode::corrupt, "journal_corrupt",
                "journal of cell " + options_.cell_id + ": record " + std::to_string(lsn) + " in " +
                    segment_name(segment.first_lsn) + " at byte " + std::to_string(entry.offset) +
                    " reads differently from when it was written");
  }
  return to_record(*frame);
}

const Segment& Journal::segment_of(const RecordIndex::Entry& entry) const {
  return segments_[entry.segment - segments_.front().number];
}

const File& Journal::file_of(const Segment& segment) const {
  const Lsn first_lsn = segment.first_lsn;
  if (active_first_lsn_ == first_lsn) return *active_;
  if (reader_first_lsn_ != first_lsn) {
    const std::string name = segment_name(first_lsn);
    reader_ = storage_.open(name);
    reader_first_lsn_ = reader_ ? first_lsn : 0;
    if (!reader_) {
      throw Error(ErrorCode::corrupt, "journal_corrupt",
                  "journal of cell " + options_.cell_id + ": " + name + " is missing");
    }
  }
  return *reader_;
}

std::size_t Journal::for_each(std::uint32_t run, Lsn after, std::size_t limit,
                              const Visit& visit) const {
  std::size_t count = 0;
  ReadAhead ahead;
  while (count < limit) {
    const auto following = index_.of_run(run, after);  // Looked up anew: `visit` may append.
    if (following.empty() || (broken_ && following.front() > last_durable_)) break;
    after = following.front();
    if (!is_known(index_.at(after).type)) continue;
    visit(read(after, &ahead));
    ++count;
  }
  return count;
}

}  // namespace cellar::journal
