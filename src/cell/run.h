#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cell/agent_language.h"
#include "cell/waits.h"
#include "journal/records.h"

// The runs of a cell as the journal tells them: a pure fold over its records. The same code serves
// recovery (all records at once) and life (each record as it is appended), so that both agree.
namespace cellar::cell {

enum class RunStatus : std::uint8_t { running, waiting, paused, completed, failed, cancelled };
inline constexpr std::size_t kRunStatusCount = 6;
std::string_view to_string(RunStatus status) noexcept;
// Completed, failed or cancelled: nothing will happen any more.
bool is_terminal(RunStatus status) noexcept;

enum class StepStatus : std::uint8_t { open, ok, error };

// One journaled command of a run. Its value stays in the journal, at `outcome`.
struct Step {
  std::uint32_t ordinal = 0;
  std::string kind;  // step shell fetch sleep, or a value: store.read db.get now stream setup …
  std::string name;
  std::string args_fp;
  StepStatus status = StepStatus::open;
  std::uint32_t executed = 0;  // how often its body was started
  WallTime started_at;
  std::optional<WallTime> ended_at;
  journal::Lsn begun = 0;    // the record that it began with
  journal::Lsn outcome = 0;  // the record that holds its value
  std::string codec;         // of the value, where it is not JSON
  bool sensitive = false;    // its outcome and its progress are kept sealed, and shown to nobody
  bool sealed = false;       // its outcome is
  // What follows an interruption: retry (also where empty), fail, ask; "begin" as retry, of one
  // that nothing executes (ctx.beginStep).
  std::string policy;
  std::uint32_t executions_explained = 0;  // interrupted ones that somebody has decided about
  std::uint32_t executions_seen = 0;       // when the newest attempt of its run began
  std::uint32_t ends_under_it = 0;         // of the agent, that count (see counts_against_budget)
  std::uint32_t failed_attempts = 0;       // in it, each followed by another
  std::optional<WallTime> retry_at;        // when the next attempt is due
  journal::Lsn progress = 0;               // its last Progress record
  // What it printed, streamed and told of its progress counts (committed.h) where it comes behind
  // the first and from the second: what came before was of attempts that were given up.
  journal::Lsn said_behind = 0;
  std::uint32_t said_turn = 0;  // 0: no attempt has told its number
  bool has_said = false;
  // It was executed and is not now: whether what it does was done is not known.
  bool is_interrupted() const noexcept {
    return status == StepStatus::open && executed > executions_explained;
  }
  // The agent, or what it has asked of the shell, is at work on it in the newest attempt.
  bool is_executed_again() const noexcept {
    return is_interrupted() && executed > executions_seen && policy != "begin" && kind != "llm" &&
           kind != "spawn" && !is_wait(kind);
  }
  std::string args;   // of what waits: see waits.h
  std::string child;  // the run that it waits for
  // Steps are shown to people; values only serve replay.
  bool is_step() const noexcept {
    return kind == "step" || kind == "shell" || kind == "fetch" || kind == "llm" ||
           kind == "spawn" || is_wait(kind);
  }
};

// What counts of what a step of an earlier generation said: between these two records.
struct PastSaid {
  std::uint32_t ordinal = 0;
  std::uint32_t turn = 0;
  journal::Lsn behind = 0;
  journal::Lsn outcome = 0;
};

inline constexpr std::size_t kEventIdsKept = 10'000;
inline constexpr std::size_t kEventIdsCarried = 1'000;
inline constexpr std::size_t kEventDigestBytes = 16;

// A part of a run's history that ctx.continueAs has ended.
struct PastGeneration {
  journal::Lsn created = 0;  // the record that said what the run began with
  WallTime ended_at;
};

// Something that somebody sent to a run; its payload stays in the journal.
struct ReceivedEvent {
  WallTime at;
  std::string type;
};

// Shared with what works on it still when retention removes it: a timer, a grace time.
struct Run : std::enable_shared_from_this<Run> {
  std::uint32_t number = 0;
  std::string id;
  std::string method;
  std::optional<std::string> idempotency_key;
  std::string parent;  // the run that began it with ctx.spawn; empty for none
  std::string agent_digest;
  AgentLanguage agent_language = AgentLanguage::javascript;
  bool setup = false;  // it calls the agent's setup() first, which no other run has done
  RunStatus status = RunStatus::running;
  std::string reason;      // why it is paused
  std::string detail;      // JSON text that explains the reason; empty for none
  std::string stands_for;  // why no attempt is under way now, where one is to be; in no record
  std::uint32_t attempt = 0;
  std::uint32_t attempts_without_progress = 0;  // that count, but for the newest
  bool cancel_requested = false;
  bool undoes = false;  // and what it did is undone first
  bool cancelled_in_pause = false;
  std::uint32_t rollback = 0;    // where it began to roll back; 0: it does not
  std::uint64_t llm_tokens = 0;  // that models took for it, of all generations
  WallTime started_at;
  std::optional<WallTime> ended_at;
  // The record that says what it began with: its own first one or, where it was continued, the
  // newest that says it again. Nothing before it is needed for the run to go on, but for events.
  journal::Lsn created = 0;
  journal::Lsn carried = 0;      // what becomes that once it is continued; 0: none
  journal::Lsn continued = 0;    // the one that holds the state in their place; 0: none
  std::uint32_t base = 0;        // its ordinal: what follows counts from there
  std::uint32_t generation = 1;  // one more each time it is continued
  std::deque<PastGeneration> past_generations;  // those that are there, the oldest first
  journal::ForkedFrom forked;           // from the run that it was begun from again; no id: none
  journal::Lsn ended = 0;               // the record that holds the result
  std::map<std::uint32_t, Step> steps;  // of this generation
  std::vector<PastSaid> past;           // of earlier ones, by ordinal; those that said something
  std::set<std::uint32_t> open;         // ordinals of steps that have begun and not ended
  journal::Lsn left = 0;                // it left the agent; 0: not since its newest attempt
  journal::Lsn newest_end = 0;          // the record that ended a step last
  journal::Lsn told = 0;                // the newest that is for its caller: stream, pause, end
  std::map<journal::Lsn, ReceivedEvent> events;  // that have ended no wait, by their records
  // Of all that came, and when: those that come again are known by it. Of earlier generations the
  // newest kEventIdsKept, or up to twice as many.
  std::map<std::string, journal::Lsn, std::less<>> event_ids;
  // The newest of all that came before it continued last, whether or not their records are there
  // still: the first kEventDigestBytes of the SHA-256 of each id, the oldest first.
  std::string known_events;
  bool is_carried = false;      // `created` says again what it is
  std::size_t noted_bytes = 0;  // of the names and arguments of `steps`

  std::uint32_t steps_done() const noexcept;
  // Whether an event with this id is known to have come.
  bool has_received(const std::string& event_id) const;
  // What `known_events` is where it continues now.
  std::string events_to_carry() const;
  // How often the agent has ended, as it has now, with nothing finished between: nothing of the
  // run, or not this step, which is executed again each time while others get on.
  struct EndsInVain {
    std::uint32_t count = 0;
    const Step* step = nullptr;  // null: nothing of the run
  };
  EndsInVain ends_in_vain() const;
  // It is cancelled, and nothing more of it is executed.
  bool ends_at_once() const noexcept { return cancel_requested && !undoes; }
  // A step of its method that is not executed any more, as the run rolls back.
  bool leaves(const Step& step) const noexcept {
    return rollback != 0 ? step.ordinal < rollback : undoes;
  }
  // When the first of its steps is tried again, where each that is open, but for those that wait,
  // has failed and is to be tried again.
  std::optional<WallTime> retries_at() const;
  // The open commands that wait for a time, an event or an approval.
  std::vector<const Step*> waits() const;
  // Whether this event of it, of which the record is named, has ended a wait.
  bool has_taken(journal::Lsn event) const noexcept { return !events.contains(event); }
  // It waits, and nothing else of it is open. Its code may have more going, of which no record
  // says.
  bool has_only_waits_open() const noexcept;
  // The same, and nothing has ended since it began to wait, or since it left the agent: what ended
  // may have set more going. No process is needed until a wait ends.
  bool is_only_waiting() const noexcept;
  // A wait of it has ended, and nothing was recorded of it since: it is to go on, wherever it was.
  bool is_woken() const noexcept;
  // `waiting` where it is running and only waits: no record says so.
  RunStatus shown_status() const noexcept {
    return status == RunStatus::running && is_only_waiting() ? RunStatus::waiting : status;
  }
  // It has left the agent for that, and has had no attempt since: it goes on when a wait ends. One
  // that has not may have something of its own to do, which nobody knows of.
  bool has_left() const noexcept { return left != 0 && is_only_waiting(); }
};

// An id for the run with this number, which it tells.
std::string new_run_id(std::uint32_t number);

// The kind of the value that says that a run rolls back: its name is "failed" or "cancelled", its
// value the error that the run ends with.
inline constexpr std::string_view kRollback = "rollback";

// Types of events about calls of models: a piece of an answer, what one has used.
inline constexpr std::string_view kLlmDelta = "llm.delta";
inline constexpr std::string_view kLlmUsage = "llm.usage";
// The tokens that such a record tells of; 0 for any other one.
std::uint64_t llm_tokens_of(const journal::Record& record);

// The idempotency key of the run that `parent` begins at this ordinal: begun once, whatever
// crashes. No client can send one like it.
std::string child_key(const Run& parent, std::uint32_t ordinal);
// The same for one that it begins under an id of its own, at whatever ordinal.
std::string child_key(const Run& parent, const std::string& id);

// Whether an attempt that began for this cause brings a crash-looping run nearer to its pause. What
// is not the agent's doing (daemon_restart, host_reboot, cell_stop, start, resume) does not.
bool counts_against_budget(std::string_view cause) noexcept;

class RunTable {
 public:
  // Takes one record of the journal, in order; those of runs that were trimmed are left out. Throws
  // Error `corrupt` for a body that does not decode or names a run that was never created.
  void apply(const journal::Record& record);
  // All records up to this one are applied, and nothing that executed any of them is there any
  // more.
  void opened(journal::Lsn last);

  // The run that was begun with this idempotency key; nullptr where there is none.
  Run* find_key(std::string_view idempotency_key) noexcept;
  // The runs that this one has begun with ctx.spawn.
  std::vector<Run*> children_of(const Run& parent);
  // The next free number; each run has its own.
  std::uint32_t next_number() const noexcept { return last_number_ + 1; }
  bool setup_done() const noexcept { return setup_done_; }
  // One that has begun with setup() and stands still in it; nullptr for none.
  const Run* paused_in_setup() const;

  // Stay valid until the run is trimmed. nullptr where there is none.
  Run* find(std::string_view id) noexcept;
  Run* find(std::uint32_t number) noexcept;
  // Whether it is the id of a run that was trimmed.
  bool is_trimmed(std::string_view id) const noexcept;

  // What may go: runs that have ended before, and generations of the others.
  struct EndedBefore {
    WallTime runs;
    WallTime generations;
  };
  // The oldest record that has to stay, of the runs that do not go, and of those that such a run
  // was begun from again: the one that it begins with, or an event that it has not taken. 0 where
  // there is none.
  journal::Lsn first_needed(EndedBefore what_goes);
  // What has to be known of the runs that need nothing behind `first_kept` once they are gone.
  journal::Trim trim_before(journal::Lsn first_kept) const;

  // By status.
  std::array<std::size_t, kRunStatusCount> counts() const;
  // Newest first.
  std::vector<const Run*> newest_first() const;
  std::vector<Run*> unfinished() const;
  // Those that are paused, and were cancelled since: a crash kept them from ending, or from going
  // on to undo what they did.
  std::vector<Run*> kept_from_ending() const;

 private:
  Run& run_of(const journal::Record& record);
  void create(const journal::Record& record);
  void add_names(Run& run);
  void start_step(const journal::Record& record);
  void end_step(const journal::Record& record);
  void change_step(const journal::Record& record);
  void add_value(const journal::Record& record);
  void add_event(const journal::Record& record);
  void receive(const journal::Record& record);
  void change_state(const journal::Record& record);
  void end(const journal::Record& record);
  void carry(const journal::Record& record);
  void continue_as(const journal::Record& record);
  std::vector<Run*> children_of(std::string_view parent_id);
  void trim(const journal::Trim& body);

  std::map<std::uint32_t, std::shared_ptr<Run>> runs_;
  // While a journal is opened: those that are told of, and whose beginning is not there any more.
  // They are runs once they are continued, or gone.
  std::map<std::uint32_t, std::shared_ptr<Run>> headless_;
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
  std::map<std::string, std::uint32_t, std::less<>> keys_;  // idempotency key → number
  // The lowest that was not trimmed. Before any run is created, what there is belongs to older
  // ones.
  std::uint32_t first_number_ = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t last_number_ = 0;
  bool setup_done_ = false;
};

}  // namespace cellar::cell
