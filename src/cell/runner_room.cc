// Room in the journal: nothing begins whose end could not be recorded.

#include <algorithm>
#include <array>
#include <utility>

#include "async/sleep.h"
#include "base/log.h"
#include "cell/runner_parts.h"

namespace cellar::cell {

namespace {

// The shortest record of an end: of a step that fails, of a run, of a pause.
constexpr std::uint64_t kEndBytes = 1024;
// What begins takes, beside what it brings: its records, and those of its end.
constexpr std::uint64_t kBeginBytes = 4096;
// What a step takes that the agent begins without asking, which has a name of at most 200
// characters: the record of its begin, and that of its end.
constexpr std::uint64_t kStepBytes = 2048;
// How many such steps an agent may have going, by the room that there is.
constexpr std::array<std::uint32_t, 2> kStepCounts{256, kStepsAtFirst};
constexpr std::chrono::milliseconds kLookForRoom{1000};
// Of one run: what it streams until it is told that it is paused.
constexpr std::size_t kHeldFramesMax = 1000;
constexpr std::size_t kHeldBytesMax = 1 << 20;
// And what its steps, which were begun before, say meanwhile.
constexpr std::size_t kHeldStepFramesMax = 2000;
constexpr std::size_t kHeldStepBytesMax = 64 << 20;
// The record that names a blob.
constexpr std::uint64_t kBlobBytes = 256;

}  // namespace

std::uint64_t Runner::count_ends() {
  counted_ends_ = 0;
  for (const auto& [number, active] : active_) counted_ends_ += 1 + active->run.open.size();
  counted_at_ = journal_.last_appended();
  return counted_ends_;
}

bool Runner::has_room(std::uint64_t bytes) {
  const std::uint64_t needed = bytes + kEndBytes + granted_steps_ * kStepBytes;
  const auto leaves = [&](std::uint64_t ends) {
    return journal_.room_bytes() >= needed + ends * kEndBytes;
  };
  // A record opens one command at most: mostly there is no need to count.
  const bool is_plenty = leaves(counted_ends_ + journal_.last_appended() - counted_at_);
  return is_plenty || leaves(count_ends());
}

asio::awaitable<bool> Runner::takes(std::uint64_t bytes) {
  bool is_room = true;
  while (is_room && !has_room(bytes)) {
    const std::uint64_t owed = (1 + count_ends()) * kEndBytes + granted_steps_ * kStepBytes;
    is_room = co_await journal_.make_room(bytes + owed);
  }
  co_return is_room;
}

asio::awaitable<void> Runner::require_room(std::uint64_t bytes) {
  const bool is_room = co_await takes(bytes);
  if (!is_room) journal_.throw_full();
}

asio::awaitable<void> Runner::require_refusable(const Active& active, std::uint64_t bytes) {
  if (active.run.rollback != 0) journal_.throw_full();
  co_await require_room(bytes);
}

bool Runner::can_begin(std::uint64_t bytes) {
  return !journal_.is_full() && has_room(bytes + kBeginBytes);
}

asio::awaitable<bool> Runner::may_begin(std::uint64_t bytes) {
  if (journal_.is_full()) co_return false;
  co_return co_await takes(bytes + kBeginBytes);
}

asio::awaitable<void> Runner::wait_for_journal(Active& active) {
  for (;;) {
    const bool may = co_await may_begin(0);
    active.run.stands_for = may ? "" : "journal_full";
    if (may || !active.is_wanted()) co_return;
    active.changed.reset();  // A cancel, or a pause, ends the wait.
    co_await active.changed.wait_for(kLookForRoom);
  }
}

asio::awaitable<journal::Payload> Runner::store(std::string value) {
  if (value.size() <= journal::kInlineBytesMax) {
    co_await require_room(value.size());
    co_return co_await journal_.store_value(std::move(value));
  }
  co_await require_room(kBlobBytes);
  journal::Payload payload = co_await journal_.store_value(std::move(value));
  co_await require_room(kBlobBytes);  // It took a while.
  co_return payload;
}

asio::awaitable<bool> Runner::is_stored(std::string value, journal::Payload& into) {
  try {
    into = co_await store(std::move(value));
    co_return true;
  } catch (const Error& error) {
    if (error.reason() != "journal_full") throw;
    co_return false;
  }
}

// ---- what has to wait for room ----

namespace {

bool is_waited_for(const AgentFrame& frame) {
  return text_of(frame.header, "t") == "call" || flag_of(frame.header, "sync");
}

}  // namespace

asio::awaitable<void> Runner::hold(AgentProcess& agent, std::shared_ptr<Active> active,
                                   AgentFrame frame) {
  if (!active->is_served()) {
    if (is_waited_for(frame)) let_go(agent, active->run.id);
    co_return;
  }
  const bool is_step = is_of_step(frame);
  Held& held = is_step ? active->held_steps : active->held_others;
  ++held.count;
  held.bytes += frame.body.size();
  const bool is_too_much = held.count > (is_step ? kHeldStepFramesMax : kHeldFramesMax) ||
                           held.bytes > (is_step ? kHeldStepBytesMax : kHeldBytesMax);
  if (is_too_much) {
    if (is_waited_for(frame)) let_go(agent, active->run.id);
    const Error error(ErrorCode::exhausted, "journal_full",
                      "the run says more than the disk has room for",
                      "make room for it (POST …/runs says what is full), then resume it");
    co_await pause_run(*active, error.reason(), pause_json(error));
    co_return;
  }
  if (is_waited_for(frame)) ++synchronous_calls_;  // Its process waits for us.
  active->held_from = agent_;
  active->held.push_back(std::make_shared<const AgentFrame>(std::move(frame)));
  if (active->held.size() == 1) tasks_.spawn(handle_held(std::move(active)));
}

asio::awaitable<void> Runner::handle_held(std::shared_ptr<Active> active) {
  const std::shared_ptr<AgentProcess> agent = active->held_from;
  try {
    co_await handle_each_held(active, agent);
  } catch (const Error& error) {  // As where it is handled at once.
    if (error.code() == ErrorCode::canceled) throw;
    log::error("agent host: {}; it is ended", error.what());
    agent->kill();
    drop_held(*active);
  }
}

asio::awaitable<void> Runner::handle_each_held(std::shared_ptr<Active> active,
                                               std::shared_ptr<AgentProcess> agent) {
  const std::uint32_t attempt = active->run.attempt;
  const auto is_same = [&] { return active->run.attempt == attempt && !active->held.empty(); };
  const auto is_meant = [&] {
    return active->is_served() && agent == agent_ && !active->run.ends_at_once();
  };
  while (is_same() && is_meant()) {
    // It stays in its place meanwhile: what comes is behind it.
    const std::shared_ptr<const AgentFrame> frame = active->held.front();
    active->handled = frame;
    const bool is_done = co_await is_handled(*agent, *active, *frame);
    if (active->handled == frame) active->handled.reset();
    const bool is_dropped = active->held.empty() || active->held.front() != frame;
    if (is_dropped && !is_done && is_waited_for(*frame) && agent == agent_) {
      let_go(*agent, active->run.id);
    }
    if (!is_done && !is_dropped) co_await async::sleep_for(kLookForRoom);
    if (!is_done || is_dropped) continue;
    if (is_waited_for(*frame)) --synchronous_calls_;
    Held& held = is_of_step(*frame) ? active->held_steps : active->held_others;
    --held.count;
    held.bytes -= frame->body.size();
    active->held.pop_front();
  }
  if (is_same()) drop_held(*active);
}

void Runner::drop_held(Active& active) {
  for (const auto& frame : active.held) {
    if (!is_waited_for(*frame)) continue;
    --synchronous_calls_;
    const bool is_answered = frame == active.handled;
    if (!is_answered && active.held_from == agent_) let_go(*agent_, active.run.id);
  }
  active.held.clear();
  active.held_steps = active.held_others = {};
}

// ---- steps that the agent begins by itself ----

// No step asks on a good day, and none waits for that; but there is always a place for those that
// have begun and that nothing was heard of yet. More are allowed only where that will last.
std::uint32_t Runner::steps_for_room() {
  if (journal_.is_full()) return 0;
  const std::uint64_t owed = (1 + count_ends()) * kEndBytes;
  const std::uint64_t room = journal_.room_bytes() - std::min(owed, journal_.room_bytes());
  for (const std::uint32_t count : kStepCounts) {
    const std::uint64_t bytes = count * kStepBytes;
    if (room >= (count > told_steps_ ? 2 * bytes : bytes)) return count;
  }
  return 0;
}

void Runner::tell_room() {
  if (!agent_) return;
  const bool is_most = told_steps_ == kStepCounts.front();
  if (is_most && !journal_.is_full() && has_room(0)) return;
  const std::uint32_t steps = steps_for_room();
  if (steps == told_steps_) return;
  told_steps_ = steps;
  granted_steps_ = std::max(granted_steps_, steps);
  ++room_frames_;
  agent_->send(json::object({{"t", "room"}, {"steps", steps}, {"n", room_frames_}}), {});
}

// It has read the last of them, and all that it began before has been heard.
void Runner::on_room(const AgentFrame& frame) {
  if (number_of(frame.header, "n") == room_frames_) granted_steps_ = told_steps_;
}

// ---- what commands print, and the cell tells ----

void Runner::tell(journal::Event event) {
  if (!told_) told_ = std::make_shared<Printed>(0, 0, executor_);
  take_output(told_, std::move(event));
}

asio::awaitable<bool> Runner::tell_if_room(journal::Event event) {
  const bool is_room = co_await takes(event.data.size());
  if (!is_room) co_return false;
  journal_.append(0, 0, event);
  journal_.sync_soon();
  co_return true;
}

bool Runner::is_heard(const Printed& printed) {
  if (printed.attempt == 0) return true;
  const Run* run = runs_.find(printed.run);
  return run != nullptr && run->attempt == printed.attempt;
}

void Runner::take_output(const std::shared_ptr<Printed>& printed, journal::Event event) {
  if (!is_heard(*printed)) return;
  if (printed->held.empty() && has_room(event.data.size())) {
    journal_.append(printed->run, printed->ordinal, event);
    journal_.sync_soon();
    return;
  }
  if (journal_.is_full()) return;  // The result has it.
  printed->held.push_back(std::move(event));
  if (printed->held.size() == 1) tasks_.spawn(give_output(printed));
}

asio::awaitable<void> Runner::give_output(std::shared_ptr<Printed> printed) {
  std::deque<journal::Event>& held = printed->held;
  try {
    while (!held.empty()) {
      const bool is_room = co_await takes(held.front().data.size());
      if (!is_room || !is_heard(*printed)) break;
      journal_.append(printed->run, printed->ordinal, held.front());
      held.pop_front();
      journal_.sync_soon();
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("what a command printed is not kept: {}", error.what());
  }
  held.clear();
  printed->changed.set();
}

asio::awaitable<void> Runner::all_given(std::shared_ptr<Printed> printed) {
  while (!printed->held.empty()) {
    printed->changed.reset();
    co_await printed->changed.wait();
  }
}

}  // namespace cellar::cell
