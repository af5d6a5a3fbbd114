#include "cell/cell_journal.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/sleep.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

// Short for people, long for a step that does nothing.
constexpr std::chrono::milliseconds kLater{2};
constexpr std::uint64_t kTrimBytes = 256;      // more than the record has
constexpr std::size_t kTurnBytes = 256 << 10;  // that are read with nobody waiting
// A part of journal::kPendingBytesMax.
constexpr std::size_t kPendingBytesWaited = 16 << 20;

}  // namespace

CellJournal::CellJournal(asio::any_io_executor executor, async::Pool& pool, async::Pool& writers,
                         const std::string& dir, const std::string& cell_id, RunTable& runs)
    : executor_(executor),
      pool_(pool),
      writers_(writers),
      runs_(runs),
      storage_(dir),
      journal_(storage_, journal::Options{.cell_id = cell_id},
               [&runs](const journal::Record& record) { runs.apply(record); }),
      durable_(executor),
      gather_timer_(executor),
      removed_(executor),
      room_changed_(executor),
      tasks_(executor) {
  if (journal_.cut_bytes() != 0) {
    log::warning("cell {}: {} bytes that a crash left half-written are cut off its journal",
                 log::cell(cell_id), journal_.cut_bytes());
  }
  if (!journal_.may_trim()) {
    log::warning("cell {}: what its journal does not need any more cannot be removed",
                 log::cell(cell_id));
  }
  runs.opened(journal_.last_appended());
}

CellJournal::~CellJournal() = default;

void CellJournal::require_working() const {
  if (is_broken()) {
    throw Error(ErrorCode::unavailable, "journal_io_error", "the cell's journal cannot be written",
                "see the daemon's log; free disk space, then restart cellard");
  }
}

// Nobody writes any more: what waits for that would wait for ever.
void CellJournal::require_open() const {
  if (closed_) throw Error(ErrorCode::canceled, "the cell is closed");
}

void CellJournal::require_takes(std::uint64_t frame_bytes) {
  try {
    journal_.require_takes(frame_bytes);
  } catch (const Error&) {
    sync_soon();  // Nobody else need be about to.
    throw;
  }
}

journal::Lsn CellJournal::append_record(const journal::RecordHead& head, const std::string& body) {
  require_working();
  journal::Journal::require_body(body.size());
  require_takes(journal::frame_size(body.size()));
  const journal::Lsn lsn = journal_.append(head, body);
  if ((head.flags & journal::kBlob) != 0) {
    if (const auto blob = journal::blob_in(body)) unnamed_.erase(blob->digest);  // It counts there.
  }
  runs_.apply(journal_.read(lsn));
  return lsn;
}

void CellJournal::sync_soon() {
  if (flushing_ || is_broken() || !journal_.dirty()) return;
  if (!journal_.has_room()) return make_spares_soon();
  flushing_ = true;
  tasks_.spawn(flush());
}

void CellJournal::when_durable(std::function<void()> then) {
  require_working();
  deliveries_.push_back({journal_.last_appended(), std::move(then)});
  gathering_.came();
  const bool is_enough = gathering_.is_enough(deliveries_.size(), std::chrono::steady_clock::now());
  if (is_enough) gather_timer_.cancel();
  sync_soon();
  if (!flushing_) deliver();
}

void CellJournal::deliver() {
  std::size_t count = 0;
  for (; !deliveries_.empty() && deliveries_.front().after <= journal_.last_durable(); ++count) {
    const std::function<void()> then = std::move(deliveries_.front().then);
    deliveries_.pop_front();
    then();
  }
  gathering_.told(count, std::chrono::steady_clock::now());
  if (count > 0 && on_delivered_) on_delivered_();
}

void CellJournal::sync_later() {
  if (flushing_ || flush_planned_ || is_broken()) return;
  flush_planned_ = true;
  tasks_.spawn(flush_later());
}

// What came meanwhile, behind what something else has synced, has its own moment.
asio::awaitable<void> CellJournal::flush_later() {
  journal::Lsn waits = 0;
  while (journal_.last_durable() >= waits && journal_.dirty()) {
    waits = journal_.last_appended();
    co_await async::sleep_for(kLater);
  }
  flush_planned_ = false;
  sync_soon();
}

// Returns when enough wait for the next write, or no more come.
asio::awaitable<void> CellJournal::gather() {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  while (!is_urgent_ && !gathering_.is_enough(deliveries_.size(), now())) {
    const std::size_t before = deliveries_.size();
    gather_timer_.expires_after(Gathering::kPauseMax);
    co_await gather_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none) {
      throw Error(ErrorCode::canceled, "canceled while steps are gathered");
    }
    if (deliveries_.size() == before) gathering_.give_up();
  }
  is_urgent_ = false;
}

// Group commit: what is appended while a batch is on its way is the next batch.
asio::awaitable<void> CellJournal::flush() {
  bool failed = false;
  while (journal_.dirty() && journal_.has_room() && !failed) {
    co_await gather();
    if (!journal_.has_room()) continue;  // More came than that.
    try {
      journal::Batch batch = journal_.seal();
      auto write = [this, &batch] { journal_.write(batch); };
      const auto began = std::chrono::steady_clock::now();
      co_await async::offload(writers_, write);
      if (sync_times_ != nullptr) sync_times_->observe(std::chrono::steady_clock::now() - began);
      journal_.committed(std::move(batch));
    } catch (const Error& error) {
      log::error("journal: {}", error.what());
      journal_.failed();
      failed = true;
    }
    if (!failed) deliver();
    durable_.pulse();
    make_spares_soon();  // While the next batch is written.
  }
  if (is_broken()) deliveries_.clear();
  flushing_ = false;
  durable_.pulse();
  room_changed_.pulse();
  make_spares_soon();
}

asio::awaitable<void> CellJournal::sync() {
  const journal::Lsn wanted = journal_.last_appended();
  sync_soon();
  while (journal_.last_durable() < wanted) {
    require_working();
    require_open();
    is_urgent_ = true;
    gather_timer_.cancel();
    co_await durable_.wait();
    sync_soon();
  }
}

asio::awaitable<bool> CellJournal::advanced(journal::Lsn lsn, std::chrono::milliseconds limit) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  const std::size_t before = wake_count_;
  while (journal_.last_durable() <= lsn) {
    require_working();
    require_open();
    if (wake_count_ != before) co_return false;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return false;
    co_await durable_.wait_for(left);
  }
  co_return true;
}

void CellJournal::wake_watchers() {
  ++wake_count_;
  durable_.pulse();
}

asio::awaitable<journal::Payload> CellJournal::store_value(std::string value) {
  if (value.size() <= journal::kInlineBytesMax) {
    co_return journal::Payload{.bytes = std::move(value), .blob = std::nullopt};
  }
  while (removing_) co_await removed_.wait();
  if (stored_bytes() + value.size() > bytes_max_) throw_limit_reached();
  struct Storing {
    std::uint64_t& all_bytes;
    const std::uint64_t own_bytes;
    ~Storing() { all_bytes -= own_bytes; }
  } const storing{storing_bytes_, value.size()};
  storing_bytes_ += value.size();
  auto store = [this, bytes = std::move(value)]() mutable {
    return journal_.store(std::move(bytes));
  };
  std::optional<journal::Payload> payload;
  try {
    payload = co_await async::offload(pool_, std::move(store));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::exhausted) throw;
    log::warning("journal: a value of a run: {}", error.what());
  }
  if (!payload) throw_full();
  unnamed_[payload->blob->digest] = payload->blob->size_bytes;
  co_return *std::move(payload);
}

void CellJournal::throw_undecodable(journal::Lsn lsn) const {
  throw Error(ErrorCode::corrupt, "journal_corrupt",
              "record " + std::to_string(lsn) + " has a body that does not decode");
}

journal::Payload CellJournal::payload_at(journal::Lsn lsn, journal::ReadAhead* ahead) {
  const journal::Record record = journal_.read(lsn, ahead);
  switch (record.type) {
    case journal::Type::run_created:
      return {.bytes = decoded<journal::RunCreated>(record).params, .blob = std::nullopt};
    case journal::Type::carried:
      return decoded<journal::Carried>(record).value;
    case journal::Type::continued:
      return decoded<journal::Continued>(record).value;
    case journal::Type::step_end:
      return decoded<journal::StepEnd>(record).value;
    case journal::Type::value:
      return decoded<journal::Value>(record).value;
    case journal::Type::run_ended:
      return decoded<journal::RunEnded>(record).value;
    case journal::Type::event_received:
      return decoded<journal::EventReceived>(record).value;
    case journal::Type::event:
      // On replay an event is not sent again: nothing is asked of it.
      return {.bytes = "null", .blob = std::nullopt};
    default:
      throw_undecodable(lsn);
  }
}

std::size_t CellJournal::for_each(std::uint32_t run, journal::Lsn after, std::size_t limit,
                                  const journal::Journal::Visit& visit) {
  return journal_.for_each(run, after, limit, visit);
}

std::string CellJournal::bytes_of(const journal::Payload& value) const {
  return value.blob ? journal_.load(value) : value.bytes;
}

asio::awaitable<void> CellJournal::room() {
  while (journal_.pending_bytes() > kPendingBytesWaited && !is_broken()) {
    require_open();
    sync_soon();
    co_await durable_.wait();
  }
}

asio::awaitable<std::string> CellJournal::value_of(journal::Lsn lsn) {
  journal::Payload value = payload_at(lsn);
  if (!value.blob) co_return std::move(value.bytes);
  auto load = [this, value = std::move(value)] { return journal_.load(value); };
  co_return co_await async::offload(pool_, std::move(load));
}

namespace {

// A byte that is told counts as 64: it stays in memory until a client has taken it.
std::size_t weight_of(const RunEvent& event) {
  return 64 * (event.data.size() + (event.missing ? journal::size_of(event.missing->value) : 0));
}

std::size_t read_bytes_of(const journal::Record& record) {
  return std::max(record.body.size(), CellJournal::kReadBytesMin);
}

}  // namespace

asio::awaitable<void> CellJournal::have_read(std::size_t bytes) {
  turn_bytes_ += bytes;
  if (turn_bytes_ < kTurnBytes) co_return;
  turn_bytes_ = 0;
  co_await asio::post(asio::use_awaitable);
}

asio::awaitable<CellJournal::Events> CellJournal::events(const Run& run, journal::Lsn after,
                                                         Look look) {
  Events events{.seen = after};
  const journal::Lsn durable = journal_.last_durable();
  std::size_t bytes = 0;
  bool is_over = false;
  const journal::Journal::Visit visit = [&](const journal::Record& record) {
    events.read_bytes += read_bytes_of(record);
    const Fate fate = look.view == View::live ? Fate::shown : fate_of(record, run, durable);
    const bool is_large = bytes >= kEventBytesMax;
    is_over = record.lsn > durable || fate == Fate::undecided || is_large;
    events.more = is_over && is_large && record.lsn <= durable;
    if (is_over) return;
    events.seen = record.lsn;
    auto event = fate == Fate::shown ? event_of(record, run) : std::nullopt;
    bytes += std::max(read_bytes_of(record), event ? weight_of(*event) : 0);
    if (event) events.list.push_back(*std::move(event));
  };
  std::size_t count = 0;  // One by one: behind the last that is wanted none is read.
  while (!is_over && count < look.limit &&
         journal_.for_each(run.number, events.seen, 1, visit) == 1) {
    ++count;
  }
  if (!is_over) events.more = count == look.limit;
  if (look.values == Look::Values::read) co_await read_missing(events);
  co_await have_read(events.read_bytes);
  co_return events;
}

CellJournal::Seen CellJournal::event_at(journal::Lsn lsn, View view) {
  const journal::Record record = journal_.read(lsn);
  Seen seen;
  seen.read_bytes = read_bytes_of(record);
  if (record.run == 0) {
    seen.fate = Fate::shown;
    seen.event = cell_event_of(record);
    return seen;
  }
  const Run* run = runs_.find(record.run);
  if (run == nullptr) return seen;  // It is not kept any more.
  seen.fate = view == View::live ? Fate::shown : fate_of(record, *run, journal_.last_durable());
  if (seen.fate != Fate::shown) return seen;
  seen.event = event_of(record, *run);
  if (seen.event) seen.event->run = run->id;
  return seen;
}

asio::awaitable<CellJournal::Events> CellJournal::events(journal::Lsn after, Look look) {
  Events events;
  const journal::Lsn durable = journal_.last_durable();
  events.seen = std::max(after, journal_.first() - 1);
  std::size_t bytes = 0;
  bool is_over = false;
  for (std::size_t count = 0; count < look.limit && bytes < kEventBytesMax && events.seen < durable;
       ++count) {
    Seen next = event_at(events.seen + 1, look.view);
    events.read_bytes += next.read_bytes;
    is_over = next.fate == Fate::undecided;
    if (is_over) break;
    ++events.seen;
    bytes += std::max(next.read_bytes, next.event ? weight_of(*next.event) : 0);
    if (next.event) events.list.push_back(*std::move(next.event));
  }
  events.more = events.seen < durable && !is_over;
  if (look.values == Look::Values::read) co_await read_missing(events);
  co_await have_read(events.read_bytes);
  co_return events;
}

// Nobody may keep what is told from being removed meanwhile: an event that is gone is left out.
asio::awaitable<void> CellJournal::read_missing(Events& events) {
  const bool is_any = std::any_of(events.list.begin(), events.list.end(),
                                  [](const RunEvent& event) { return event.missing.has_value(); });
  if (!is_any) co_return;
  struct Read {
    std::vector<RunEvent> list;
    std::optional<Error> failure;
    journal::Lsn failed_at = 0;
  };
  auto read = [this, list = std::move(events.list)]() mutable {
    Read result;
    for (RunEvent& event : list) {
      try {
        if (event.missing) complete(event, journal_.load(event.missing->value));
        result.list.push_back(std::move(event));
      } catch (const Error& error) {
        result.failure = error;
        result.failed_at = event.seq;
      }
    }
    return result;
  };
  Read result = co_await async::offload(pool_, std::move(read));
  if (result.failure && result.failed_at >= journal_.first()) throw *result.failure;
  events.list = std::move(result.list);
}

asio::awaitable<journal::Lsn> CellJournal::before_newest(
    std::size_t count, View view, std::function<bool(const RunEvent&)> is_wanted) {
  journal::Lsn lsn = journal_.last_durable();
  std::size_t bytes = 0;
  for (std::size_t seen = 0;
       count > 0 && lsn >= journal_.first() && seen < kTailRecordsMax && bytes < kTailBytesMax;
       ++seen) {
    const Seen here = event_at(lsn--, view);
    if (here.event && is_wanted(*here.event)) --count;
    bytes += here.read_bytes;
    co_await have_read(here.read_bytes);
  }
  co_return std::max(lsn, journal_.first() - 1);  // What is older may be gone meanwhile.
}

// What is needed first, of what is durable, where these go.
journal::Lsn CellJournal::first_needed(WallTime ended_before, Used used) {
  if (used == Used::history) return journal_.first();
  RunTable::EndedBefore what_goes{.runs = ended_before, .generations = ended_before};
  if (used == Used::ended_runs) what_goes.runs = WallTime::min();
  if (is_crowded()) what_goes.generations = WallTime::max();
  const journal::Lsn needed = runs_.first_needed(what_goes);
  const journal::Lsn durable = journal_.last_durable();
  return needed == 0 ? durable : std::clamp(needed, journal_.first(), durable);
}

asio::awaitable<void> CellJournal::trim(WallTime ended_before, std::function<Used()> used) {
  if (journal_.last_durable() < journal_.first() || !journal_.may_trim()) co_return;
  const journal::Lsn needed = first_needed(ended_before, used());
  const bool is_in_last =
      journal_.segment_begin(needed) == journal_.segment_begin(journal_.last_durable());
  if (is_crowded() && is_in_last && needed > journal_.segment_begin(needed)) {
    journal_.leave_segment();  // Or it would keep all blobs that it names, for as long as it grows.
    make_spares_soon();
  }
  if (journal_.segment_begin(needed) == journal_.first()) co_return;
  // A place is mostly there: a full disk, above all, must get rid of what it can.
  const bool is_room = co_await make_room(kTrimBytes);
  if (!is_room) co_return;
  const journal::Lsn first_kept = journal_.segment_begin(first_needed(ended_before, used()));
  if (first_kept == journal_.first()) co_return;
  const journal::Trim trim = runs_.trim_before(first_kept);
  fault_point("trim.before_written");
  append(0, 0, trim);
  co_await sync();
  fault_point("trim.durable");
  co_await remove(journal_.trim(first_kept));
}

// A blob that is about to be named again stays; it is looked at when the journal is opened.
asio::awaitable<void> CellJournal::remove(journal::Journal::Trimmed trimmed) {
  if (storing_bytes_ > 0) trimmed.blobs.clear();
  std::erase_if(trimmed.blobs, [this](const auto& digest) { return unnamed_.contains(digest); });
  removing_ = true;
  removed_.reset();
  try {
    auto remove_files = [this, &trimmed] { journal_.remove(trimmed); };
    co_await async::offload(pool_, remove_files);
  } catch (const Error& error) {
    log::warning("journal: what is not needed any more: {}", error.what());
    journal_.removal_failed();
  }
  removing_ = false;
  removed_.set();
}

asio::awaitable<void> CellJournal::close() {
  try {
    while (journal_.last_durable() < journal_.last_appended()) {
      require_working();
      require_place();
      sync_soon();
      co_await durable_.wait();
    }
  } catch (const Error& error) {
    log::error("journal: what was not durable yet is lost: {}", error.what());
  }
  closed_ = true;
  durable_.set();  // Nobody waits for more.
  room_changed_.set();
  co_await tasks_.close();
  deliveries_.clear();
}

}  // namespace cellar::cell
