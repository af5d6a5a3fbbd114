#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cell/runner.h"
#include "json/json.h"

// What the files of the runner share, and nobody else sees.
namespace cellar::cell {

inline std::string text_of(const json::Value& header, std::string_view key) {
  const json::Value* value = header.find(key);
  return value != nullptr && value->is_string() ? value->as_string() : std::string();
}

inline std::int64_t number_of(const json::Value& header, std::string_view key) {
  const json::Value* value = header.find(key);
  return value != nullptr && value->is_int() ? value->as_int() : 0;
}

inline bool flag_of(const json::Value& header, std::string_view key) {
  const json::Value* value = header.find(key);
  return value != nullptr && value->is_bool() && value->as_bool();
}

// The number in a header that counts attempts, or stands for a step; 0 where there is none.
inline std::uint32_t count_of(const json::Value& header, std::string_view key) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(number_of(header, key), 0, 1 << 30));
}

inline std::uint32_t ordinal_of(const AgentFrame& frame) { return count_of(frame.header, "o"); }

// A frame about the attempt that is under way: what another attempt is told, or says, is not meant.
inline json::Value frame_for(const Run& run, std::string_view type) {
  return json::object({{"t", type}, {"run", run.id}, {"a", run.attempt}});
}

// In what a run begins with.
template <typename Beginning>
void set_version(Beginning& beginning, AgentVersion version) {
  beginning.agent_digest = std::move(version.digest);
  beginning.agent_language.reset();
  if (version.language != AgentLanguage::javascript) {
    beginning.agent_language = name_of(version.language);
  }
}

inline std::string error_json(std::string_view name, std::string_view message,
                              std::string_view code) {
  return json::dump(json::object({{"name", name}, {"message", message}, {"code", code}}));
}

inline std::string error_json(const Error& error) {
  const bool is_full = error.reason() == "journal_full";
  return error_json(is_full ? "JournalFullError" : "Error", error.what(), error.reason());
}

inline std::string journal_full_error(std::string_view what) {
  return error_json("JournalFullError",
                    std::string(what) + ": there is no room for it in the journal of the cell",
                    "journal_full");
}

// What a cancelled run ends with, where its method throws nothing else.
inline std::string cancelled_error() {
  return error_json("CancelledError", "cancelled", "canceled");
}

// What was done, and cannot be given.
inline std::string not_kept_error() {
  return journal_full_error("it was done, and what it gave is not kept");
}

// The hosts cut what is longer, as each who looks at the run's events has it read.
inline constexpr std::size_t kErrorBytesMax = 1 << 20;

// An error, or what else is shown to people, as it came; in place of what is no JSON that can be
// read again, or is too large, what is wrong with it.
inline std::string checked_error(const std::string& text) {
  try {
    if (text.size() > kErrorBytesMax) throw Error(ErrorCode::too_large, "larger than 1 MiB");
    return json::dump(json::parse(text));
  } catch (const Error& error) {
    return error_json("Error", std::string("an error that cannot be shown: ") + error.what(),
                      "not_serialisable");
  }
}

// A command that begins once that it does, or all that was said before, is on disk.
inline bool awaits_disk(const AgentFrame& frame) {
  return flag_of(frame.header, "keeps") || !text_of(frame.header, "pol").empty();
}

// The same, or one that begins once there is a place for it: the host waits to be told.
inline bool awaits_word(const AgentFrame& frame) {
  return awaits_disk(frame) || flag_of(frame.header, "ask");
}

// Of a step that the host executes already.
inline bool is_of_step(const AgentFrame& frame) {
  const std::string type = text_of(frame.header, "t");
  if (type != "cmd") return type == "done" || type == "failed" || type == "progress";
  const std::string kind = text_of(frame.header, "k");
  return (kind == "step" || kind == "fetch") && !awaits_word(frame);
}

// Throws Error `conflict` for a run that has ended.
inline void require_open_run(const Run& run) {
  if (!is_terminal(run.status)) return;
  throw Error(ErrorCode::conflict, "run_ended",
              "run " + run.id + " is " + std::string(to_string(run.status)) + " already");
}

// Why a run is paused, with what its owner can do.
inline std::string pause_json(const Error& error) {
  return json::dump(json::object(
      {{"message", error.what()}, {"code", error.reason()}, {"remediation", error.remediation()}}));
}

// More than a record takes of the journal, without the value that it may hold.
inline constexpr std::uint64_t kBareRecordBytes = 4096;

// What a record with this value takes of the journal at most, and so many without one beside it.
inline std::uint64_t bytes_of_records(std::string_view value, unsigned bare_count) {
  return journal::frame_size(value.size()) + bare_count * kBareRecordBytes;
}

// How much of what an agent has said waits for room.
struct Held {
  std::size_t count = 0;
  std::size_t bytes = 0;
};

// One run on its way: from its start, or its recovery, until it settles.
struct Runner::Active {
  explicit Active(Run& of, const asio::any_io_executor& executor)
      : owned(of.shared_from_this()), run(of), changed(executor) {}

  const std::shared_ptr<Run> owned;  // Retention may remove it while a timer still looks at it.
  Run& run;
  async::Event changed;  // the agent let go of it, or it ended
  // What the agent says and is told of it counts.
  bool is_served() const noexcept { return in_agent && !is_settling(); }
  // The same for what this attempt has said: asked once more behind each await.
  bool serves(std::int64_t attempt) const noexcept { return is_served() && attempt == run.attempt; }
  bool serves(const AgentFrame& frame) const { return serves(number_of(frame.header, "a")); }
  // It has ended or is paused, or that is on its way to the disk.
  bool is_settling() const noexcept { return is_pausing || is_ending || settled; }
  // It is to go on in the agent.
  bool is_wanted() const noexcept { return !is_settling() && !run.ends_at_once(); }
  // All of it that is open waits, and nothing that it has said waits to be taken.
  bool has_only_waits_open() const noexcept { return held.empty() && run.has_only_waits_open(); }
  // The agent has let go of it, for this reason: it goes on, or settles.
  void leave_agent(std::string why) {
    in_agent = false;
    interruption = std::move(why);
    changed.set();
  }
  bool in_agent = false;  // sent to the agent, which has not let go
  bool settled = false;
  bool is_pausing = false;             // nothing more is taken from the agent
  bool is_ending = false;              // the same: its result is on its way to the disk
  bool suspended = false;              // only waiting: not in the agent until a wait ends
  std::uint32_t asked_to_suspend = 0;  // the newest attempt of it that was; 0: none
  // Calls that changed the database, the oldest first, whose records may not be on disk.
  struct Called {
    std::uint32_t ordinal = 0;
    journal::Lsn record = 0;
  };
  std::deque<Called> calls;
  std::uint32_t kept_to = 0;  // the newest of them whose record is
  // What the agent has sent, and there is no room for; and the first of it while it is handled: who
  // does that answers it.
  std::deque<std::shared_ptr<const AgentFrame>> held;
  std::shared_ptr<const AgentFrame> handled;
  Held held_steps;
  Held held_others;
  std::shared_ptr<AgentProcess> held_from;
  std::chrono::steady_clock::time_point heard_at = std::chrono::steady_clock::now();
  std::string interruption;                        // why the agent let go; empty: it ended
  std::optional<std::chrono::milliseconds> grace;  // that a cancel gave its method
  bool is_over_budget = false;                     // a model was not asked for that
  bool undoes_after_pause = false;                 // cancelled with rollback while it was pausing
};

// A trial of a run with another version of the agent, while it goes on.
struct Runner::TrialInProgress {
  explicit TrialInProgress(const asio::any_io_executor& executor) : ended(executor) {}

  async::Event ended;
  std::optional<Trial> outcome;
  std::string agent_end;  // what its process ended of before that; empty: it has not
};

// Holds the id of an event that is on its way to a run. The runner outlives it.
class Runner::ReceivingEvent {
 public:
  using Key = std::pair<std::uint32_t, std::string>;
  ReceivingEvent(Runner& runner, Key key) : runner_(&runner), key_(std::move(key)) {}
  ReceivingEvent(ReceivingEvent&& other) noexcept
      : runner_(std::exchange(other.runner_, nullptr)), key_(std::move(other.key_)) {}
  ReceivingEvent& operator=(ReceivingEvent&&) = delete;
  ~ReceivingEvent() {
    if (runner_ == nullptr) return;
    runner_->receiving_.erase(key_);
    runner_->received_.set();
  }

 private:
  Runner* runner_;
  Key key_;
};

// What a command prints, or the cell tells (run 0), in its order; bounded by what it may print.
struct Runner::Printed {
  Printed(std::uint32_t of, std::uint32_t at, const asio::any_io_executor& executor)
      : run(of), ordinal(at), changed(executor) {}

  std::uint32_t run;
  std::uint32_t ordinal;
  std::uint32_t attempt = 0;  // of the run: it says nothing in any other; 0: it belongs to none
  std::deque<journal::Event> held;
  async::Event changed;
};

// What answers an asynchronous or synchronous command.
struct Runner::HostCall {
  std::shared_ptr<Active> owner;  // who asked: not the same where the run was paused and resumed
  std::uint32_t attempt = 0;      // of the run's, that asked
  std::uint32_t ordinal = 0;      // 0: inside a step, not journaled
  std::int64_t tag = 0;           // the frame's `x`, where there is no ordinal
  std::uint32_t step = 0;         // the step that it is inside of, and in which attempt of that:
  std::uint32_t turn = 0;
  bool synchronous = false;
  bool rolls_back = false;  // it is asked by a rollback
  bool sensitive = false;   // inside a sensitive step: nobody is shown what it prints
  bool keeps = false;       // it begins when all that was said before is on disk
  std::string request;

  // The attempt that asked goes on without it, or does not go on.
  bool is_left() const noexcept {
    const Run& run = owner->run;
    return !owner->serves(attempt) || (run.rollback != 0 && !rolls_back);
  }
  bool is_cancelled() const noexcept {
    return owner->run.ends_at_once() || (owner->run.undoes && !rolls_back);
  }
};

}  // namespace cellar::cell
