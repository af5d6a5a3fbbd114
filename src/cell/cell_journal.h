#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/pool.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/histogram.h"
#include "cell/committed.h"
#include "cell/gathering.h"
#include "cell/run.h"
#include "cell/run_event.h"
#include "journal/file_storage.h"
#include "journal/journal.h"

namespace cellar::cell {

namespace asio = boost::asio;

// What of the events is told: all of them, as they happen, or what can never be thrown away again
// (committed.h).
enum class View : std::uint8_t { live, committed };

// The journal of a cell in the daemon's loop: appends at once, syncs on the pool, many waiters to
// one fdatasync (group commit), and keeps the run table in step with what was
// appended.
//
// Loop thread only. After a failed write every call throws Error `unavailable`, reason
// `journal_io_error`, until the cell is opened again.
class CellJournal {
 public:
  // Opens or creates, and folds all records into `runs`, which must outlive it. Blocks while it
  // reads: some milliseconds for 10,000 records. Throws Error `corrupt` for a damaged journal.
  // Records are written by `writers`: what takes long on `pool` makes no durable answer wait.
  CellJournal(asio::any_io_executor executor, async::Pool& pool, async::Pool& writers,
              const std::string& dir, const std::string& cell_id, RunTable& runs);
  ~CellJournal();

  // Appends one record of `run`; it is durable after the next sync() that returns. Throws Error
  // `too_large` for a body that no record may have, `exhausted`, reason `journal_backlog`, where
  // more than may waits for the disk already, and `journal_io_error` once that has failed.
  template <typename Body>
  journal::Lsn append(std::uint32_t run, std::uint32_t ordinal, const Body& body) {
    const journal::RecordHead head{
        .run = run, .ordinal = ordinal, .type = Body::kType, .flags = body.flags()};
    return append_record(head, body.encode());
  }

  // The same for a copy of a record of another run: it happened when that did.
  journal::Lsn append_copy(std::uint32_t run, const journal::Record& record) {
    const journal::RecordHead head{
        .run = run,
        .ordinal = record.ordinal,
        .type = record.type,
        .flags = static_cast<std::uint16_t>(record.flags & ~journal::kBatchEnd),
        .t_ns = record.t_ns};
    return append_record(head, record.body);
  }

  // What belongs together is appended all of it or nothing: throws Error `exhausted`, reason
  // `journal_backlog`, where so many bytes of frames are more than may wait for the disk.
  void require_takes(std::uint64_t frame_bytes);

  // Returns when all that was appended before the call is durable.
  asio::awaitable<void> sync();
  // Calls `then` once all that was appended before the call is durable: in the order of the calls,
  // which is the order of the records. Never where the journal breaks or is closed before. It must
  // not throw: whatever else waits for the disk would wait for ever.
  void when_durable(std::function<void()> then);
  // Called behind those, once for all that one write made durable.
  void on_delivered(std::function<void()> tell) { on_delivered_ = std::move(tell); }
  // Makes what was appended durable soon, with nobody waiting for it.
  void sync_soon();
  // The same a moment later, unless something else does it before: for what is mostly followed by
  // something that is waited for.
  void sync_later();

  // Prepares a value for a record: in it up to 64 KiB, else as a blob, which is durable when this
  // returns. Throws Error `exhausted`, reason `journal_full`, where the disk has no room for that.
  asio::awaitable<journal::Payload> store_value(std::string value);

  // A durable or pending record's body, decoded. Throws Error `corrupt`.
  template <typename Body>
  Body read(journal::Lsn lsn) {
    return decoded<Body>(journal_.read(lsn));
  }
  // The value held by the step_end, value, event_received or run_ended record at `lsn`.
  std::string read_value(journal::Lsn lsn) { return journal_.load(payload_at(lsn)); }
  // The value of such a record as it lies there; of run_created, carried and continued, the
  // method's params. `ahead` as in Journal::read().
  journal::Payload payload_at(journal::Lsn lsn, journal::ReadAhead* ahead = nullptr);
  // The same as read_value(), with the pool where that blocks. Throws Error `corrupt`.
  asio::awaitable<std::string> value_of(journal::Lsn lsn);
  // Its bytes. Blocks where they are in a blob; any thread. Throws Error `corrupt`.
  std::string bytes_of(const journal::Payload& value) const;

  // Calls `visit` for so many records of a run behind `after`, in order, durable or not; for how
  // many.
  std::size_t for_each(std::uint32_t run, journal::Lsn after, std::size_t limit,
                       const journal::Journal::Visit& visit);

  // Durable events of a run behind `after`, oldest first, from at most `limit` records; none more
  // once 64 times their data, and the records read for nothing, are kEventBytesMax or more. What
  // waits in `Missing` of an event is read on the pool, or left there. Of much that is read, by one
  // call or by many, others have their turn: whoever wants all of it may simply go on.
  struct Look {
    View view = View::live;
    std::size_t limit = 512;
    enum class Values : std::uint8_t { read, left } values = Values::read;
  };
  struct Events {
    std::vector<RunEvent> list;
    journal::Lsn seen = 0;       // go on behind this one
    bool more = false;           // there is more that is to be seen already
    std::size_t read_bytes = 0;  // of records, a small one for kReadBytesMin
  };
  asio::awaitable<Events> events(const Run& run, journal::Lsn after, Look look);
  // The same for all runs that are kept and the cell itself, in one order.
  asio::awaitable<Events> events(journal::Lsn after, Look look);
  // Where to begin to get the newest `count` events that `is_wanted`, or as many as the newest
  // kTailRecordsMax records hold, or those of kTailBytesMax. What `is_wanted` is asked about has no
  // values that are in blobs. Others have their turn meanwhile.
  asio::awaitable<journal::Lsn> before_newest(std::size_t count, View view,
                                              std::function<bool(const RunEvent&)> is_wanted);
  static constexpr std::size_t kTailRecordsMax = 4'000;
  static constexpr std::size_t kTailBytesMax = 64 << 20;
  static constexpr std::size_t kEventBytesMax = 4 << 20;
  // A record that is smaller takes as long: it is found, read and decoded.
  static constexpr std::size_t kReadBytesMin = 4 << 10;
  // The oldest record that is kept.
  journal::Lsn first() const noexcept { return journal_.first(); }
  // The newest record, durable or not.
  journal::Lsn last_appended() const noexcept { return journal_.last_appended(); }
  // Everything up to this record is durable.
  journal::Lsn last_durable() const noexcept { return journal_.last_durable(); }
  // Waits until more is durable than `lsn`; false where `limit` passed first. Throws Error
  // `canceled` once the journal is closed.
  asio::awaitable<bool> advanced(journal::Lsn lsn, std::chrono::milliseconds limit);
  // Lets all who wait for that go on, as if their limit had passed.
  void wake_watchers();

  // ---- room on the disk ----
  // A full disk is noticed when the next segment cannot be made, long before this one is used up:
  // then nothing new may begin, so that what is under way can still be recorded. It is tried again
  // every second. Should more be appended than there is room for, it waits in memory.

  // The same holds where it takes more than this, which is unlimited until it is said.
  void limit(std::uint64_t bytes_max);
  // With values that are on their way, and those that no record names yet.
  std::uint64_t stored_bytes() const noexcept;
  // It is full for that.
  bool is_at_limit() const noexcept { return full_ && full_->reason() == kLimitReached; }
  bool is_full() const noexcept { return full_.has_value(); }
  // Called whenever is_full() changes, and when there is more room.
  void on_room(std::function<void()> tell) { on_room_ = std::move(tell); }
  // Bytes of records that have a place for certain.
  std::uint64_t room_bytes() const noexcept { return journal_.room_bytes(); }
  // Makes the first segment's place ahead.
  void prepare();
  // Returns once so many have one; false where the disk has no room for them, which need not mean
  // that the journal is full, or where they are more than journal::kRoomBytesMax.
  asio::awaitable<bool> make_room(std::uint64_t bytes);
  // Throws Error `exhausted`, reason `journal_full`, which says what the disk does not do.
  [[noreturn]] void throw_full() const;
  [[noreturn]] void throw_limit_reached() const;
  // Throws it where something that was appended has no place: it is not durable before there is.
  void require_place() const;

  // Returns at once, or where so much is on its way to the disk that more would soon be refused,
  // once that has become less.
  asio::awaitable<void> room();
  // For what takes long in general.
  async::Pool& pool() noexcept { return pool_; }

  // Notes in `syncs`, which must outlive it, how long each write to the disk takes.
  void measure(Histogram& syncs) noexcept { sync_times_ = &syncs; }

  bool is_broken() const noexcept { return journal_.is_broken(); }
  // What somebody works with, and retention leaves alone.
  enum class Used : std::uint8_t {
    nothing,
    ended_runs,  // Somebody may hold a reference to one of them.
    history,     // What a run has recorded is being read.
  };
  // Removes the runs that ended before, and of the others the generations that did (all that ended,
  // once the journal is crowded), as far as the journal begins with nothing else: whole segments,
  // and the blobs of them. A disk that fails is told in the log: the next opening does the rest.
  asio::awaitable<void> trim(WallTime ended_before, std::function<Used()> used);
  // It takes more than half of what it may: room is made before there is none.
  bool is_crowded() const noexcept { return stored_bytes() > bytes_max_ / 2; }
  // Syncs what is left; nothing may be appended afterwards.
  asio::awaitable<void> close();

 private:
  static constexpr std::string_view kLimitReached = "journal_limit";

  template <typename Body>
  Body decoded(const journal::Record& record) const {
    auto body = Body::decode(record.body);
    if (!body) throw_undecodable(record.lsn);
    return *std::move(body);
  }
  journal::Lsn append_record(const journal::RecordHead& head, const std::string& body);
  // What is to be seen of a record of the whole cell, and whether that is decided yet.
  struct Seen {
    Fate fate = Fate::hidden;
    std::optional<RunEvent> event;
    std::size_t read_bytes = 0;  // as those of Events
  };
  Seen event_at(journal::Lsn lsn, View view);
  // After so much was read here, with nobody waiting for anything: others have their turn once it
  // comes to 256 KiB.
  asio::awaitable<void> have_read(std::size_t bytes);
  asio::awaitable<void> read_missing(Events& events);
  asio::awaitable<void> flush();
  asio::awaitable<void> flush_later();
  asio::awaitable<void> gather();
  void require_within_limit(std::uint64_t more_bytes) const;
  void make_spares_soon();
  asio::awaitable<void> make_spares();
  void set_full(std::optional<Error> error);
  void tell_room();
  journal::Lsn first_needed(WallTime ended_before, Used used);
  bool has_place() const noexcept { return !journal_.dirty() || journal_.has_room(); }
  asio::awaitable<void> remove(journal::Journal::Trimmed trimmed);
  [[noreturn]] void throw_undecodable(journal::Lsn lsn) const;
  void require_working() const;
  void require_open() const;
  void deliver();

  asio::any_io_executor executor_;
  async::Pool& pool_;
  async::Pool& writers_;
  RunTable& runs_;
  journal::FileStorage storage_;
  journal::Journal journal_;
  async::Event durable_;        // more is durable, or it broke
  std::size_t wake_count_ = 0;  // of wake_watchers()
  std::size_t turn_bytes_ = 0;  // that were read since others had their turn
  struct Delivery {
    journal::Lsn after;
    std::function<void()> then;
  };
  std::deque<Delivery> deliveries_;
  std::function<void()> on_delivered_;
  Gathering gathering_;
  asio::steady_timer gather_timer_;               // canceled when enough have come
  bool is_urgent_ = false;                        // the next write waits for nobody
  std::map<std::string, std::uint64_t> unnamed_;  // blobs in no record (yet), with their bytes
  std::uint64_t storing_bytes_ = 0;               // of blobs that are on their way to the disk
  bool removing_ = false;                         // none may be stored
  async::Event removed_;
  async::Event room_changed_;  // a spare was made, or could not be, or a segment was begun
  std::function<void()> on_room_;
  std::uint64_t demand_bytes_ = 0;  // that make_room() was asked for
  std::uint64_t unmet_bytes_ = 0;   // the last demand that there was no room for
  std::size_t unmet_count_ = 0;     // of such demands
  std::uint64_t bytes_max_ = std::numeric_limits<std::uint64_t>::max();
  std::optional<Error> full_;  // what kept the next segment from being made
  bool flushing_ = false;
  bool flush_planned_ = false;
  bool making_spares_ = false;
  Histogram* sync_times_ = nullptr;
  bool closed_ = false;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
