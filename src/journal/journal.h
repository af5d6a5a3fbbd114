#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "journal/blobs.h"
#include "journal/frame.h"
#include "journal/read_ahead.h"
#include "journal/record_index.h"
#include "journal/records.h"
#include "journal/segment_files.h"
#include "journal/storage.h"

namespace cellar::journal {

// How much may be appended and not yet durable.
inline constexpr std::size_t kPendingBytesMax = 64 << 20;
// How much more a spare may have room for, whatever waits already.
inline constexpr std::uint64_t kRoomBytesMax = kSegmentBytesMax - kHeaderBytes - kPendingBytesMax;

struct Options {
  std::string cell_id;  // Of at most kCellIdBytesMax bytes; a journal of another cell is refused.
  // Segments grow fourfold from the first one's size to the largest, so that an idle cell is small.
  std::uint64_t first_segment_bytes = 64 << 10;
  std::uint64_t segment_bytes_max = 4 << 20;
};

// Records on their way to the disk, from seal() through write() to committed(). It refers to its
// journal, which must outlive it.
class Batch {
 public:
  Lsn first() const noexcept { return first_; }
  Lsn last() const noexcept { return last_; }
  std::size_t size_bytes() const noexcept { return bytes_.size(); }

 private:
  friend class Journal;
  Lsn first_ = 0;
  Lsn last_ = 0;
  std::string_view bytes_;  // the journal's own, unchanged until committed()
  std::uint64_t offset_ = 0;
  File* file_ = nullptr;               // the segment they go to, or
  std::unique_ptr<NewSegment> begin_;  // the one that they begin
};

// The durable list of everything that happened in one cell.
//
// A record is *appended* first, with its place in the order, and *durable* once the batch it was
// sealed into is written. Nobody outside the daemon may see an effect of a record that is not
// durable yet; holding back the reply until then is the caller's part of the promise.
//
// All records of a batch, or none of them, are there after a crash. A batch holds all that was
// appended since the one before.
//
//   while (journal.dirty() && journal.has_room()) {
//     Batch batch = journal.seal();          // owner
//     journal.write(batch);                  // a thread of the pool; the owner may go on appending
//     journal.committed(std::move(batch));   // owner; journal.failed() where write() threw
//   }
//
// Threads: everything belongs to the owner but write(), make_spare(), remove(), put_blob() and
// load(), which block, and may run on any thread while the owner goes on. The journal must outlive
// them.
//
// After failed() the journal is broken for good (docs/adr/0003): append() and seal() throw Error
// `unavailable`, reason `journal_io_error`. The owner opens a new one on the same storage, which
// finds out what reached the disk.
class Journal {
 public:
  using Visit = std::function<void(const Record&)>;

  // Opens what is in `storage`, which must outlive it, and calls `visit` for every record in order.
  // What a crash left half-written behind the last whole batch is cut off, and what no record needs
  // is removed. Blocks. An empty storage is an empty journal; nothing is made before the first
  // write.
  //
  // Throws Error `corrupt`: reason `journal_corrupt` where acknowledged records are damaged,
  // `journal_too_new` where a later version wrote what this one cannot read. Then nothing in the
  // storage has been changed. Exceptions of `visit` reach the caller unchanged.
  Journal(Storage& storage, Options options, const Visit& visit);
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What append() throws, before anything is done: Error `too_large` for a body above
  // kBodyBytesMax, `exhausted`, reason `journal_backlog`, where with so many bytes of frames more
  // than kPendingBytesMax would wait. Whoever appends several that belong together asks first.
  static void require_body(std::size_t bytes);
  void require_takes(std::uint64_t frame_bytes) const;

  // Takes the record into memory. What it throws does not break the journal.
  Lsn append(const RecordHead& head, std::string_view body);
  // The same for one of the structs of records.h.
  template <typename Body>
  Lsn append(std::uint32_t run, std::uint32_t ordinal, const Body& body) {
    const RecordHead head{
        .run = run, .ordinal = ordinal, .type = Body::kType, .flags = body.flags()};
    return append(head, body.encode());
  }

  // Whether something was appended since the last seal().
  bool dirty() const noexcept { return !pending_.empty(); }
  // Bytes that are appended and not durable.
  std::size_t pending_bytes() const noexcept { return pending_.size() + in_flight_.size(); }

  // Makes a batch of all that was appended since the last one; only if dirty() and has_room(), and
  // only one batch is under way at a time.
  Batch seal();
  // Puts the batch on stable storage. Blocking; any thread. After an exception the owner must call
  // failed().
  void write(Batch& batch) const;
  // The owner's word that write() returned.
  void committed(Batch&& batch);
  // The owner's word that write() threw.
  void failed() noexcept;

  // The oldest record that is there; last_appended() + 1 where there is none.
  Lsn first() const noexcept { return index_.first(); }
  Lsn last_appended() const noexcept { return index_.last(); }
  Lsn last_durable() const noexcept { return last_durable_; }  // <= last_appended()
  bool is_broken() const noexcept { return broken_; }
  // What a crash had left half-written, and opening cut off: worth a line in the log.
  std::uint64_t cut_bytes() const noexcept { return cut_bytes_; }

  // ---- room ----
  // No write needs more of the disk than is taken already: a batch goes into the segment at hand,
  // or begins the spare that was made before. A full disk is met by make_spare() alone, which does
  // not break the journal.

  // Whether all that was appended has a place. Where not, it waits in memory for a larger spare.
  bool has_room() const noexcept;
  // So many bytes of records more would have one, whatever their batches.
  std::uint64_t room_bytes() const noexcept;
  // The size of a spare that is worth making now, because the segment at hand is half full, or
  // there is no room for `more_bytes`, at most kRoomBytesMax; 0 for none. The owner lets
  // make_spare() run with it, one at a time, and says spare_made() after it returned. No batch may
  // take the spare that it replaces meanwhile: leave_spare() comes first, and gives that one's
  // size, for spare_made() where make_spare() throws. It counts as room all the while: that one, or
  // a larger one, will be there.
  std::uint64_t wanted_spare_bytes(std::uint64_t more_bytes = 0) const noexcept;
  std::uint64_t leave_spare() noexcept;
  void make_spare(std::uint64_t bytes) const;
  void spare_made(std::uint64_t bytes) noexcept;

  // What it takes of the disk: segments, the spare one, and the blobs that records name.
  std::uint64_t stored_bytes() const noexcept;

  // ---- forgetting ----
  // The next batch begins a segment, once there is a spare that leaves as much room: segments are
  // forgotten whole.
  void leave_segment() noexcept { leaves_segment_ = true; }
  // The first record of the segment that holds `lsn`, which is durable.
  Lsn segment_begin(Lsn lsn) const;
  // Files that nothing needs any more.
  struct Trimmed {
    std::vector<Lsn> segments;       // their first records
    std::vector<std::string> blobs;  // their digests
  };
  // Forgets all before `first_kept`, with which a segment begins; a Trim that says so is durable.
  // What it gives is to be removed: until then, and after a crash, the next opening does it.
  Trimmed trim(Lsn first_kept);
  // Blocking; any thread. No blob of them may be stored meanwhile. A failure does not break the
  // journal. Throws Error.
  void remove(const Trimmed& trimmed) const;
  // The owner's word that remove() threw. What is left has to go first, or it would lie in front of
  // a gap: nothing is trimmed before the next opening has removed it.
  void removal_failed() noexcept { may_trim_ = false; }
  bool may_trim() const noexcept { return may_trim_; }

  // Stores a value outside the records, durable when this returns: the record that names it is
  // appended afterwards. Blocking; any thread. A failure does not break the journal.
  BlobRef put_blob(std::string_view bytes) const;
  // `value` as the member of a record: in it up to kInlineBytesMax, else as a blob (blocking).
  Payload store(std::string value) const;
  // The bytes of a payload. Blocks where they are in a blob; any thread. Throws Error `corrupt`
  // where the blob is damaged or gone.
  std::string load(const Payload& payload) const;

  // The record at `lsn`, durable or not: first() <= lsn <= last_appended(). Throws Error
  // `not_found` outside, `corrupt` where the disk gives back something else than was written. In a
  // broken journal only what is durable is found. Who reads many, one behind the other, gives
  // `ahead`.
  Record read(Lsn lsn, ReadAhead* ahead = nullptr) const;
  // Calls `visit` for the records of `run` behind `after`, in order, durable or not, at most
  // `limit` of them; types that this version does not know are left out. Returns the number.
  std::size_t for_each(std::uint32_t run, Lsn after, std::size_t limit, const Visit& visit) const;
  // The last record of `run`; 0 for none.
  Lsn last_of(std::uint32_t run) const noexcept { return index_.last_of(run); }

 private:
  std::unique_ptr<NewSegment> next_segment(Lsn first_lsn);
  std::uint64_t size_of_next_segment() const noexcept;
  std::uint64_t left_bytes() const noexcept;  // of the segment at hand
  Record read_in_memory(const RecordIndex::Entry& entry) const;
  Record read_on_disk(const RecordIndex::Entry& entry, Lsn lsn, ReadAhead* ahead) const;
  const Segment& segment_of(const RecordIndex::Entry& entry) const;
  const File& file_of(const Segment& segment) const;
  void require_working() const;

  Storage& storage_;
  Options options_;
  RecordIndex index_;
  BlobUses blobs_;
  std::vector<Segment> segments_;  // the one that the batch under way begins is in it already
  std::unique_ptr<File> active_;   // the segment that is written to
  Lsn active_first_lsn_ = 0;       // 0: there is none yet
  std::string chain_;              // header and checksums of the last of segments_ (frame.h)
  std::string pending_;            // records that are not sealed
  std::string in_flight_;          // records of the batch under way
  std::uint64_t spare_bytes_ = 0;
  std::uint64_t left_spare_bytes_ = 0;  // of one that is being replaced
  Lsn last_durable_ = 0;
  std::uint64_t cut_bytes_ = 0;
  bool broken_ = false;
  bool may_trim_ = true;
  bool leaves_segment_ = false;
  // The older segment that was read last: replays go through one after the other.
  mutable std::unique_ptr<File> reader_;
  mutable Lsn reader_first_lsn_ = 0;
};

}  // namespace cellar::journal
