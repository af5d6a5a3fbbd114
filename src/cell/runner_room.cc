// Room in the journal: nothing begins whose end could not be recorded.

#include "cell/runner_parts.h"

namespace cellar::cell {

namespace {

// The shortest record of an end: of a step that fails, of a run, of a pause.
constexpr std::uint64_t kEndBytes = 1024;
// What begins takes, beside what it brings: its records, and those of its end.
constexpr std::uint64_t kBeginBytes = 4096;

}  // namespace

std::uint64_t Runner::owed_bytes() const noexcept {
  std::uint64_t ends = 0;
  for (const auto& [number, active] : active_) ends += 1 + active->run.open.size();
  return ends * kEndBytes;
}

bool Runner::has_room(std::uint64_t bytes) const noexcept {
  return journal_.room_bytes() >= bytes + kEndBytes + owed_bytes();
}

bool Runner::takes(std::uint64_t bytes) const noexcept {
  return !journal_.is_full() || has_room(bytes);
}

asio::awaitable<void> Runner::require_room(std::uint64_t bytes) {
  if (has_room(bytes)) co_return;
  const bool is_room = co_await journal_.make_room(bytes + kEndBytes + owed_bytes());
  if (!is_room) CellJournal::throw_full();
}

asio::awaitable<bool> Runner::may_begin(std::uint64_t bytes) {
  if (journal_.is_full()) co_return false;
  if (has_room(bytes + kBeginBytes)) co_return true;
  co_return co_await journal_.make_room(bytes + kBeginBytes + kEndBytes + owed_bytes());
}

asio::awaitable<journal::Payload> Runner::store(std::string value) {
  co_await require_room(std::min(value.size(), journal::kInlineBytesMax));
  co_return co_await journal_.store_value(std::move(value));
}

// Steps that the agent executes without asking are begun by it: it asks while the disk is full.
void Runner::tell_room() {
  if (agent_) agent_->send(json::object({{"t", "room"}, {"full", journal_.is_full()}}), {});
}

}  // namespace cellar::cell
