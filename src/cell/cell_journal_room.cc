// Room on the disk for a cell's journal: spare segments, made before they are needed.

#include <algorithm>
#include <numeric>

#include "async/sleep.h"
#include "base/log.h"
#include "cell/cell_journal.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::milliseconds kTryAgain{1000};

}  // namespace

void CellJournal::make_spares_soon() {
  if (making_spares_ || is_broken() || journal_.wanted_spare_bytes(demand_bytes_) == 0) return;
  making_spares_ = true;
  tasks_.spawn(make_spares());
}

// The next segment is made before a write has to wait for it; on a full disk it is tried again and
// again. One that is only wanted for an unusual demand is not.
asio::awaitable<void> CellJournal::make_spares() {
  bool has_failed = false;
  while (const std::uint64_t bytes = journal_.wanted_spare_bytes(demand_bytes_)) {
    const std::uint64_t demanded = demand_bytes_;
    std::optional<Error> failure;
    std::uint64_t made_bytes = journal_.leave_spare();
    try {
      require_within_limit(bytes);
      auto make = [this, bytes] { journal_.make_spare(bytes); };
      co_await async::offload(writers_, make);
      made_bytes = bytes;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      failure = error;
    }
    journal_.spare_made(made_bytes);
    const bool is_second = failure && has_failed;  // A single failure says little.
    has_failed = failure.has_value();
    if (failure && !is_second) continue;
    if (failure) {
      unmet_bytes_ = demanded;
      ++unmet_count_;
      demand_bytes_ = 0;
    }
    const bool is_unusual = journal_.wanted_spare_bytes() == 0;
    if (!failure || !is_unusual) set_full(failure);
    tell_room();
    if (failure && !is_unusual) co_await async::sleep_for(kTryAgain);
  }
  if (journal_.room_bytes() >= demand_bytes_) demand_bytes_ = 0;
  making_spares_ = false;
  set_full(std::nullopt);
  sync_soon();
}

void CellJournal::tell_room() {
  room_changed_.pulse();
  durable_.pulse();
  if (on_room_) on_room_();
}

void CellJournal::set_full(std::optional<Error> error) {
  const bool was_full = is_full();
  full_ = std::move(error);
  if (is_full() == was_full) return;
  if (full_) {
    log::warning("journal: nothing new is begun while there is no room: {}", full_->what());
  } else {
    log::info("journal: there is room again");
  }
  tell_room();
}

void CellJournal::prepare() {
  demand_bytes_ = 1;
  make_spares_soon();
}

asio::awaitable<bool> CellJournal::make_room(std::uint64_t bytes) {
  if (bytes > journal::kRoomBytesMax) co_return false;
  const std::size_t before = unmet_count_;
  while (journal_.room_bytes() < bytes) {
    require_working();
    require_open();
    if (is_full() || (unmet_count_ != before && bytes >= unmet_bytes_)) co_return false;
    demand_bytes_ = std::max(demand_bytes_, bytes);
    make_spares_soon();
    co_await room_changed_.wait();
  }
  co_return true;
}

void CellJournal::limit(std::uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  make_spares_soon();
}

std::uint64_t CellJournal::stored_bytes() const noexcept {
  return std::accumulate(unnamed_.begin(), unnamed_.end(), journal_.stored_bytes() + storing_bytes_,
                         [](auto bytes, const auto& blob) { return bytes + blob.second; });
}

void CellJournal::require_within_limit(std::uint64_t more_bytes) const {
  if (stored_bytes() + more_bytes <= bytes_max_) return;
  throw Error(ErrorCode::exhausted, std::string(kLimitReached),
              "the cell's journal takes " + std::to_string(stored_bytes()) + " of " +
                  std::to_string(bytes_max_) + " bytes");
}

void CellJournal::throw_limit_reached() const {
  throw Error(ErrorCode::exhausted, "journal_full",
              "the journal of the cell has the " + std::to_string(bytes_max_) +
                  " bytes that it may take: nothing new is begun in it",
              "keep runs that have ended for less long (run_retention_s) and let the cell "
              "hibernate, or give it a larger tier");
}

void CellJournal::throw_full() const {
  if (is_at_limit()) throw_limit_reached();
  if (full_ && full_->code() != ErrorCode::exhausted) {
    throw Error(
        ErrorCode::exhausted, "journal_full",
        "the disk takes nothing more for the journal of the cell: nothing new is begun in it",
        "the daemon's log says what it answers; it goes on by itself once that is mended");
  }
  throw Error(ErrorCode::exhausted, "journal_full",
              "the disk has no room for the journal of the cell: nothing new is begun in it",
              "free disk space, or raise the quota of the state folder; it goes on by itself");
}

void CellJournal::require_place() const {
  if (is_full() && !has_place()) throw_full();
}

}  // namespace cellar::cell
