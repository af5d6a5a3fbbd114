#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "journal/frame.h"

// What records say: one struct for each type, stored as a CBOR map from the names of its members to
// their values. A member that is empty or nullopt is left out where its comment says "may be
// absent".
//
// decode() gives nullopt for a body that lacks a member or holds one of another kind; keys that it
// does not know are skipped, so later versions may add members.
namespace cellar::journal {

// Larger values are kept in blobs.
inline constexpr std::size_t kInlineBytesMax = 64 << 10;

// A value kept outside the records, named by its content.
struct BlobRef {
  std::string digest;  // SHA-256, 64 hexadecimal digits
  std::uint64_t size_bytes = 0;
  bool operator==(const BlobRef&) const = default;
};

// A value in the record itself, or the blob that holds it. Journal::load() gives the bytes of both.
struct Payload {
  std::string bytes;            // empty where there is a blob
  std::optional<BlobRef> blob;  // of more than kInlineBytesMax bytes
  bool operator==(const Payload&) const = default;
};

inline std::size_t size_of(const Payload& value) noexcept {
  return value.blob ? value.blob->size_bytes : value.bytes.size();
}

// The blob that a record names whose flags say kBlob, of whatever type it is.
std::optional<BlobRef> blob_in(std::string_view body);

struct RunCreated {
  static constexpr Type kType = Type::run_created;
  static constexpr std::uint16_t kFlags = 0;

  std::string run_id;
  std::string method;
  std::string params;  // JSON text
  std::string agent_digest;
  std::optional<std::string> agent_language;  // nullopt: javascript
  std::optional<std::string> idem_key;
  bool setup = false;
  std::uint64_t created_ns = 0;

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<RunCreated> decode(std::string_view body);
  bool operator==(const RunCreated&) const = default;
};

// On disk before any user code of the attempt runs.
struct RunAttempt {
  static constexpr Type kType = Type::run_attempt;
  static constexpr std::uint16_t kFlags = 0;

  std::uint32_t n = 0;  // 1 for the first
  std::uint64_t epoch = 0;
  std::string cause;
  std::string boot_id;

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<RunAttempt> decode(std::string_view body);
  bool operator==(const RunAttempt&) const = default;
};

struct StepStart {
  static constexpr Type kType = Type::step_start;
  static constexpr std::uint16_t kFlags = 0;

  std::string kind;
  std::string name;
  std::uint32_t occ = 0;
  std::string args_fp;
  std::string policy;               // retry fail ask begin; empty: retry
  std::optional<std::string> args;  // JSON text; of what waits, with `until` in ms
  bool sensitive = false;           // its outcome and progress are sealed; may be absent

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<StepStart> decode(std::string_view body);
  bool operator==(const StepStart&) const = default;
};

// One of several attempts inside a step failed; another follows.
struct StepAttemptFailed {
  static constexpr Type kType = Type::step_attempt_failed;
  static constexpr std::uint16_t kFlags = 0;

  std::uint32_t attempt = 0;
  std::string error;  // JSON text
  std::uint64_t next_at_ns = 0;

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<StepAttemptFailed> decode(std::string_view body);
  bool operator==(const StepAttemptFailed&) const = default;
};

struct StepEnd {
  static constexpr Type kType = Type::step_end;
  static constexpr std::uint16_t kFlags = 0;

  bool ok = false;
  std::string codec = "json";  // or "typed": docs/internals/agent-protocol.md
  Payload value;               // the result, or the error
  bool sealed = false;         // the value can be read only with the host's key; may be absent

  std::uint16_t flags() const noexcept { return value.blob ? kFlags | kBlob : kFlags; }
  std::string encode() const;
  static std::optional<StepEnd> decode(std::string_view body);
  bool operator==(const StepEnd&) const = default;
};

// A step that was running when its process ended.
struct StepInterrupted {
  static constexpr Type kType = Type::step_interrupted;
  static constexpr std::uint16_t kFlags = 0;

  std::uint32_t attempt = 0;
  std::string cause;

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<StepInterrupted> decode(std::string_view body);
  bool operator==(const StepInterrupted&) const = default;
};

// What a step that still runs says of itself; its next execution gets the last one.
struct Progress {
  static constexpr Type kType = Type::progress;
  static constexpr std::uint16_t kFlags = kHint;

  std::string value;    // JSON text of at most kInlineBytesMax bytes; where it is sealed, in base64
  bool sealed = false;  // may be absent
  std::uint32_t turn = 0;  // the attempt of the step that says it; may be absent

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<Progress> decode(std::string_view body);
  bool operator==(const Progress&) const = default;
};

// Something that was read or done at once: now, random, db.get, store.read, …
struct Value {
  static constexpr Type kType = Type::value;
  static constexpr std::uint16_t kFlags = 0;

  std::string kind;
  std::string name;
  std::string args_fp;
  Payload value;

  std::uint16_t flags() const noexcept { return value.blob ? kFlags | kBlob : kFlags; }
  std::string encode() const;
  static std::optional<Value> decode(std::string_view body);
  bool operator==(const Value&) const = default;
};

// For those who watch the run; no replay depends on it.
struct Event {
  static constexpr Type kType = Type::event;
  static constexpr std::uint16_t kFlags = kHint;

  std::string type;  // stdout stderr stream log …
  std::string data;  // JSON text
  // What happens inside a step has no ordinal of its own; both may be absent.
  std::uint32_t step = 0;  // the ordinal of that step
  std::uint32_t turn = 0;  // the attempt of the step, or of the command, that says it

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<Event> decode(std::string_view body);
  bool operator==(const Event&) const = default;
};

// An event that somebody sent to the run.
struct EventReceived {
  static constexpr Type kType = Type::event_received;
  static constexpr std::uint16_t kFlags = 0;

  std::string id;  // of its sender's choice: the same event is taken once
  std::string type;
  Payload value;  // its payload, JSON text

  std::uint16_t flags() const noexcept { return value.blob ? kFlags | kBlob : kFlags; }
  std::string encode() const;
  static std::optional<EventReceived> decode(std::string_view body);
  bool operator==(const EventReceived&) const = default;
};

// An event ended a wait, whose StepEnd comes in the same batch.
struct WaitMatched {
  static constexpr Type kType = Type::wait_matched;
  static constexpr std::uint16_t kFlags = 0;

  Lsn event = 0;  // its EventReceived

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<WaitMatched> decode(std::string_view body);
  bool operator==(const WaitMatched&) const = default;
};

struct CancelRequested {
  static constexpr Type kType = Type::cancel_requested;
  static constexpr std::uint16_t kFlags = 0;

  bool rollback = false;  // what its steps did is undone first; may be absent

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<CancelRequested> decode(std::string_view body);
  bool operator==(const CancelRequested&) const = default;
};

struct Paused {
  static constexpr Type kType = Type::paused;
  static constexpr std::uint16_t kFlags = 0;

  std::string reason;
  std::string detail;  // JSON text; may be absent

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<Paused> decode(std::string_view body);
  bool operator==(const Paused&) const = default;
};

struct Resumed {
  static constexpr Type kType = Type::resumed;
  static constexpr std::uint16_t kFlags = 0;

  bool skips_setup = false;  // another run has done setup() meanwhile; may be absent

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<Resumed> decode(std::string_view body);
  bool operator==(const Resumed&) const = default;
};

// The run has left the agent's process, as it only waits. Where it is lost, the run is given to an
// agent once more.
struct Left {
  static constexpr Type kType = Type::left;
  static constexpr std::uint16_t kFlags = kHint;

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<Left> decode(std::string_view body);
  bool operator==(const Left&) const = default;
};

struct RunEnded {
  static constexpr Type kType = Type::run_ended;
  static constexpr std::uint16_t kFlags = 0;

  std::string status;  // completed failed cancelled
  std::string codec = "json";
  Payload value;  // the result where completed, else the error

  std::uint16_t flags() const noexcept { return value.blob ? kFlags | kBlob : kFlags; }
  std::string encode() const;
  static std::optional<RunEnded> decode(std::string_view body);
  bool operator==(const RunEnded&) const = default;
};

// The run goes on with this state in place of its params, and nothing of what it recorded before:
// ctx.continueAs. At its ordinal; the run's next one follows it.
struct Continued {
  static constexpr Type kType = Type::continued;
  static constexpr std::uint16_t kFlags = 0;

  Payload value;

  std::uint16_t flags() const noexcept { return value.blob ? kFlags | kBlob : kFlags; }
  std::string encode() const;
  static std::optional<Continued> decode(std::string_view body);
  bool operator==(const Continued&) const = default;
};

// What a run is, said again where it continues, right before its `continued` and in one write with
// that: of what it recorded before, nothing is needed but the events that it has not taken.
struct Carried {
  static constexpr Type kType = Type::carried;
  static constexpr std::uint16_t kFlags = 0;

  std::string run_id;
  std::string method;
  Payload value;  // the params that it was begun with
  std::string agent_digest;
  std::optional<std::string> agent_language;  // nullopt: javascript
  std::optional<std::string> idem_key;
  std::uint64_t started_ns = 0;
  std::uint32_t attempt = 0;
  std::uint32_t generation = 0;      // that ends here
  std::uint64_t llm_tokens = 0;      // may be absent
  std::string forked_run;            // as in ForkedFrom; may be absent
  std::uint32_t forked_ordinal = 0;  // the same; may be absent
  std::string known_events;          // 16 bytes for each, the oldest first; may be absent

  std::uint16_t flags() const noexcept { return value.blob ? kFlags | kBlob : kFlags; }
  std::string encode() const;
  static std::optional<Carried> decode(std::string_view body);
  bool operator==(const Carried&) const = default;
};

// The run goes on with another version of its agent.
struct Upgraded {
  static constexpr Type kType = Type::upgraded;
  static constexpr std::uint16_t kFlags = 0;

  std::string agent_digest;

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<Upgraded> decode(std::string_view body);
  bool operator==(const Upgraded&) const = default;
};

// The run begins with copies of what another run had recorded before this ordinal began.
struct ForkedFrom {
  static constexpr Type kType = Type::forked_from;
  static constexpr std::uint16_t kFlags = 0;

  std::string run_id;
  std::uint32_t ordinal = 0;  // 0: it begins anew

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<ForkedFrom> decode(std::string_view body);
  bool operator==(const ForkedFrom&) const = default;
};

// Nothing needs the records before `first_kept`, with which a segment begins, any more: the runs
// that were created there have ended, and are gone with what is left of them further on.
struct Trim {
  static constexpr Type kType = Type::trim;
  static constexpr std::uint16_t kFlags = 0;

  Lsn first_kept = 0;
  std::uint32_t first_run = 0;  // the runs below it are gone; 0: none is, may be absent
  bool setup_done = false;      // one of them was the agent's setup; may be absent

  std::uint16_t flags() const noexcept { return kFlags; }
  std::string encode() const;
  static std::optional<Trim> decode(std::string_view body);
  bool operator==(const Trim&) const = default;
};

}  // namespace cellar::journal
