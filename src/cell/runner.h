#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "async/event.h"
#include "async/run_to_end.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "cell/agent_process.h"
#include "cell/agent_versions.h"
#include "cell/cell_journal.h"
#include "cell/run.h"
#include "store/call_answers.h"

namespace cellar::llm {
struct Failure;
struct Usage;
}  // namespace cellar::llm

namespace cellar::cell {

namespace asio = boost::asio;

class LlmAccount;

class ImageBody;

// What the runner needs from its cell. All calls on the loop thread.
class RunnerHost {
 public:
  virtual ~RunnerHost() = default;

  // Starts an agent host in the agent domain; the cell is active afterwards.
  virtual asio::awaitable<std::shared_ptr<AgentProcess>> start_agent(AgentLanguage language) = 0;

  // Runs a command of a run in the shell domain. `request` is the JSON {cmd, opts} of ctx.shell;
  // the result is the JSON of its answer. `on_output` gets what it prints, as it prints it. Throws
  // Error; reason `domain_lost`: the command had no end of its own.
  virtual asio::awaitable<std::string> shell(std::uint32_t run, std::string request,
                                             OnOutput on_output) = 0;
  // Kills the commands that this run has going.
  virtual void kill_commands(std::uint32_t run) = 0;

  // The newest lines that the cell's agents printed, so many at most.
  virtual std::vector<std::string> agent_output(std::size_t count_max) const = 0;

  // A synchronous call of ctx (db.get, search.query, …): arguments and result are JSON. With a
  // place, it changes the database once, and gives the same each time that it comes from there.
  virtual asio::awaitable<std::string> call(std::string op, std::string arguments,
                                            std::optional<store::CallPlace> place) = 0;

  // What the cell may ask of models, and has used of them.
  virtual LlmAccount& llm() = 0;

  // Values of sensitive steps as they are kept on disk, and back; nullopt where they were sealed
  // with another key. The sealed one is kSealedMoreBytes longer. Any thread.
  virtual std::string seal_value(std::string_view plain) const = 0;
  virtual std::optional<std::string> open_value(std::string_view sealed) const = 0;
  static constexpr std::size_t kSealedMoreBytes = 28;

  // Makes the cell's processes run, where they do not. Throws Error, Capacity::kReason where there
  // is no room for any.
  virtual asio::awaitable<void> wake_up() = 0;
  // A run has continued: what it recorded before may go.
  virtual void generation_ended() = 0;
  // Whether the cell's processes run now: a frozen agent answers no ping.
  virtual bool is_awake() const = 0;
};

// What a run that is to go on stands still for: the pause behind an agent that ended, an agent host
// of the other language, which others use; beside `no_capacity` and `journal_full`.
inline constexpr std::string_view kBackoff = "backoff";
// Why an attempt ended that only waited, where another run of the process did not.
inline constexpr std::string_view kOtherRun = "other_run";
inline constexpr std::string_view kOtherAgent = "other_agent";

// Why a run is paused whose step with onInterrupt "ask" was interrupted.
inline constexpr std::string_view kAmbiguousStep = "ambiguous_step";

// What somebody decides about such a step: execute it again, let it fail, or take this as its
// value.
struct Decision {
  enum class Kind : std::uint8_t { retry, fail, value };
  Kind kind = Kind::retry;
  std::string value;  // JSON text
  // What it is about, as the pause told: a decision that is sent twice is about no other step, and
  // no other execution. Where absent, whichever the run is paused for.
  std::optional<std::uint32_t> ordinal;
  std::optional<std::uint32_t> executed;
};

// A step of a run, as people name it: by its name, or by its ordinal.
using StepName = std::variant<std::string, std::uint32_t>;

struct RunnerConfig {
  std::chrono::milliseconds stall_timeout{30'000};
  std::chrono::milliseconds cancel_grace{1'000};
  std::chrono::milliseconds first_backoff{200};
  std::chrono::milliseconds longest_backoff{60'000};
  std::uint32_t attempts_max = 5;  // without a finished step between them
  // A run that only waits, and of which nothing was heard for so long, may leave the agent.
  std::chrono::milliseconds suspend_after{5'000};
  // Recorded values that an agent is given at once, for a run that goes on.
  std::size_t replay_bytes_max = 1 << 30;
};

// Runs of a cell that are not finished, children included; paused ones do not count.
inline constexpr std::size_t kOpenRunsMax = 1000;
// How many steps an agent host may have going without asking for each, before it is told otherwise.
inline constexpr std::uint32_t kStepsAtFirst = 8;
// A value of a step that is recorded in any case, whatever room there is.
inline constexpr std::size_t kOwedValueBytes = 512;
// What a run asks for, each with a place in its record, its streamed events among them.
inline constexpr std::uint32_t kOrdinalsMax = 100'000;
// Names of what it asks for, and what its waits are given, all together.
inline constexpr std::size_t kNotedBytesMax = 32 << 20;
// So many times as much where it rolls back: for each step there may be another one that undoes it.
inline constexpr unsigned kRollbackTimes = 3;
// Calls of a run that changed the database, and whose answers are not on disk in the journal yet.
inline constexpr std::size_t kUnsyncedCallsMax = 64;
// Calls of a cell until the database forgets those of runs that have ended.
inline constexpr std::size_t kCallsBetweenLooks = 256;
// What a run waits for at the same time.
inline constexpr std::size_t kOpenWaitsMax = 1000;
// Trials of runs with other versions at the same time, and how long each may take.
inline constexpr std::size_t kTrialsMax = 8;
inline constexpr std::chrono::seconds kTrialLimit{60};
// Events that a run was sent and has not taken yet, and ids of all that it was sent.
inline constexpr std::size_t kEventsWaitingMax = 1000;
inline constexpr std::size_t kEventsMax = 100'000;

// Carries the runs of one cell through: from the journal to the agent and back.
//
// The order of things is the promise (docs/internals/runs.md): a run and its attempt are on disk
// before user code runs; a step's end is on disk before the agent sees its result; a run's end is
// on disk before anybody hears of it. Loop thread only. What the constructor takes must outlive it.
class Runner {
 public:
  static constexpr std::chrono::hours kForever{24 * 365 * 10};

  Runner(asio::any_io_executor executor, CellJournal& journal, RunTable& runs, RunnerHost& host,
         const RunnerConfig& config);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  struct Start {
    std::string method;
    std::string params;  // JSON text
    std::string digest;  // of the agent's version
    AgentLanguage language = AgentLanguage::javascript;
    std::optional<std::string> idempotency_key;
    const Run* parent = nullptr;  // that begins it; refused once that is cancelled
  };
  struct Started {
    std::string id;
    bool is_new = false;  // false: the key is that of an earlier run
  };
  // Creates a run and lets it go; durable when this returns. Throws Error `conflict`, reason
  // `idempotency_key_reused`, for the key of a run with another method or other params, and
  // `exhausted`, reason `too_many_runs`, where kOpenRunsMax are under way, or `journal_full`.
  asio::awaitable<Started> start(Start request);

  // Records an event of the cell itself, among those of the runs; soon durable. Left out where the
  // disk is full.
  void tell(journal::Event event);

  // The same for what is to be told later where there is no room for it now, which false says.
  // Throws as the journal does.
  asio::awaitable<bool> tell_if_room(journal::Event event);

  // Lets every unfinished run of the journal go on. `cause` says what interrupted them.
  void recover(const std::string& cause);
  // The part of it that needs no process: the times and events that runs wait for.
  void recover_waits(bool frozen);
  // Of a cell that was found frozen: those that have what they waited for, which wakes it.
  void recover_woken();

  // Waits until the run is completed, failed, cancelled or paused.
  // Returns after `limit` in any case.
  asio::awaitable<void> settled(std::uint32_t run, std::chrono::milliseconds limit = kForever);

  struct Cancel {
    std::optional<std::chrono::milliseconds> grace;  // for its method; nullopt: the configured one
    bool undoes = false;                             // the rollbacks of its steps are executed
  };
  // Durable when it returns; the run ends within the grace time, or with its last rollback. Throws
  // Error `conflict` where the run has ended already, or is cancelled without rollback and is now
  // to be cancelled with it.
  asio::awaitable<void> cancel(std::uint32_t run, Cancel how);
  // Takes it out of the agent and kills its commands; what of it was under way counts as
  // interrupted. Durable when it returns. Throws Error `conflict` where it has ended or is paused.
  struct Pause {
    std::string reason = "user";  // its owner
    std::string detail;           // JSON text; empty for none
  };
  asio::awaitable<void> pause(std::uint32_t run, Pause why);
  // Lets a paused run go on with a fresh budget. Throws Error `conflict` where it is not paused.
  // One that is paused for a step which may or may not have been done (`ambiguous_step`) needs a
  // decision, others take none: else `conflict`, reason `decision_needed` or `no_decision_needed`.
  asio::awaitable<void> resume(std::uint32_t run, std::optional<Decision> decision);

  // Lets a paused run go on with another version of the agent, whose trial has passed.
  asio::awaitable<void> upgrade(std::uint32_t run, AgentVersion version);
  // Whether a version of the agent comes to the end of what the run has recorded. Executes what is
  // outside of steps, and nothing of the run itself. Throws Error `conflict`, reason
  // `replay_unsupported`, for a version in another language than the run's.
  struct Trial {
    bool ok = false;
    std::uint32_t matched = 0;  // the ordinal that it came to
    std::string detail;         // JSON text: what differs, or what it threw; "null" for nothing

    // Throws Error `conflict`, reason `upgrade_differs`, where it is not ok.
    void require_ok() const;
  };
  asio::awaitable<Trial> try_version(std::uint32_t run, AgentVersion version);
  // Begins a run with the same method and params; with `from`, with all that this one had recorded
  // before this step began, or until now. Gives its id; durable when it returns. Throws Error
  // `not_found` for a step that is not there, `invalid_argument` for the name of several,
  // `too_large` for too long a record, `conflict` for what was undone, and for a `version` whose
  // trial with that record fails: then nothing has begun. With an `idempotency_key` it begins once,
  // and the same reason `idempotency_key_reused` as of start() is thrown for another run's.
  struct RecordEnd {};
  struct Restart {
    std::optional<std::variant<StepName, RecordEnd>> from;
    std::optional<AgentVersion> version;  // where it is not to be that of this run
    std::optional<std::string> idempotency_key;
  };
  asio::awaitable<Started> restart(std::uint32_t run, Restart how);

  // Takes an event for a run, durable when it returns. `id` names it: false where the run has got
  // it already. Throws Error `conflict` for a run that has ended, `exhausted` for too many.
  asio::awaitable<bool> receive_event(std::uint32_t run, std::string id, std::string type,
                                      std::string payload);
  // Ends the wait of ctx.approve with this answer, JSON text; durable when it returns. `step` is
  // its name, empty for the only one. Throws Error `not_found` where there is none,
  // `invalid_argument` where several wait and none is named.
  asio::awaitable<void> answer_approval(std::uint32_t run, std::string step, std::string answer);

  // Runs that need the cell's processes: not settled, and not only waiting.
  std::vector<const Run*> active_runs() const;
  // Something that was asked of a run goes on, whether or not somebody waits for it: it holds the
  // run.
  bool has_requests() const noexcept { return requests_.use_count() > 1; }
  // One that has ended is not let go of yet.
  bool works_on_ended_runs() const noexcept;
  bool has_agent() const noexcept { return agent_ != nullptr; }
  // Starts an agent host with this version of the agent, where there is none: for a cell that is to
  // be there before somebody asks it for something. Throws Error.
  asio::awaitable<void> stand_by(std::string agent_digest, AgentLanguage language);
  // Ends the agent host, so that the next run starts a new one. Active runs start another attempt.
  void stop_agent(const std::string& cause);

  // Stops everything; unfinished runs stay unfinished in the journal.
  asio::awaitable<void> close();

 private:
  struct Active;
  struct HostCall;
  // How something ended that the agent asked for.
  struct Outcome {
    bool ok = true;
    std::string value = "null";  // what it gave, or its error
    std::string codec = "json";  // of the value

    static Outcome gave(std::string value) { return {.value = std::move(value)}; }
    static Outcome failed(std::string error) { return {.ok = false, .value = std::move(error)}; }
  };
  struct TrialInProgress;

  // Goes on to its end whatever becomes of the caller; counts for has_requests().
  template <typename T>
  asio::awaitable<T> to_end(asio::awaitable<T> request) {
    return async::run_to_end(tasks_, durably(requests_, std::move(request)));
  }
  // With the token that counts. A refusal for what a run has come to tells of records, too: it
  // waits until they are on disk.
  template <typename T>
  asio::awaitable<T> durably(std::shared_ptr<const bool>, asio::awaitable<T> request) {
    std::exception_ptr refusal;
    try {
      co_return co_await std::move(request);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::conflict) throw;
      refusal = std::current_exception();
    }
    journal_.require_place();
    co_await journal_.sync();
    std::rethrow_exception(refusal);
  }
  asio::awaitable<void> drive(std::shared_ptr<Active> active, std::string cause);
  asio::awaitable<void> carry_through(Active& active, std::string cause);
  asio::awaitable<void> attempt(Active& active, const std::string& cause);
  asio::awaitable<void> stay_in_agent(Active& active);
  asio::awaitable<bool> wait_for_room(Active& active);
  asio::awaitable<void> hold_off(Active& active, std::chrono::milliseconds pause);
  // Returns with an agent host of this language, or once nobody wants it any more.
  asio::awaitable<void> ensure_agent(AgentLanguage language, std::function<bool()> is_wanted);
  asio::awaitable<void> start_agent(AgentLanguage language);
  asio::awaitable<void> stand_by_now(std::string agent_digest, AgentLanguage language);
  // Whether some run is in the agent host, or about to be.
  bool is_agent_in_use() const noexcept;
  asio::awaitable<void> serve_agent(std::shared_ptr<AgentProcess> agent);
  asio::awaitable<void> watch_agent(std::weak_ptr<AgentProcess> watched);

  asio::awaitable<void> handle(AgentProcess& agent, AgentFrame frame);
  asio::awaitable<bool> is_handled(AgentProcess& agent, Active& active, const AgentFrame& frame);
  asio::awaitable<void> handle_served(AgentProcess& agent, Active& active, const AgentFrame& frame);
  void on_room(const AgentFrame& frame);
  asio::awaitable<void> on_command(AgentProcess& agent, Active& active, const AgentFrame& frame);
  asio::awaitable<void> on_done(Active& active, const AgentFrame& frame);
  // Whether this step of the run is sensitive.
  static bool is_sensitive(const Run& run, std::uint32_t ordinal);
  asio::awaitable<std::string> sealed(std::string value);
  asio::awaitable<void> on_attempt_failed(Active& active, const AgentFrame& frame);
  asio::awaitable<void> on_progress(Active& active, const AgentFrame& frame);
  asio::awaitable<void> on_value(Active& active, const AgentFrame& frame);
  asio::awaitable<void> on_call(AgentProcess& agent, Active& active, const AgentFrame& frame);
  // Where it changes the database; nullopt where it does not, or happens again with its step.
  asio::awaitable<std::optional<store::CallPlace>> place_of(Active& active,
                                                            const AgentFrame& frame);
  asio::awaitable<void> on_end(Active& active, const AgentFrame& frame);
  asio::awaitable<void> on_rollback(Active& active, const AgentFrame& frame);
  void say_begun(const Run& run, std::uint32_t ordinal, const char* fault);
  asio::awaitable<void> on_mismatch(Active& active, const AgentFrame& frame);
  asio::awaitable<void> on_continue(Active& active, const AgentFrame& frame);
  asio::awaitable<void> pause_for_length(Active& active);
  asio::awaitable<void> on_event(Active& active, const AgentFrame& frame);

  asio::awaitable<void> on_wait(Active& active, const AgentFrame& frame, const std::string& kind);
  asio::awaitable<void> keep_time(std::shared_ptr<Active> active, std::uint32_t ordinal);
  // Once its time is over: what came before that ends it still, be it now or when there is room.
  asio::awaitable<void> end_overdue(std::shared_ptr<Active> active, std::uint32_t ordinal);
  // Lets an event that came in time, or a child that has ended, end the wait. `no_room`: there is
  // one, and it is looked at again. Older events than `newest` do not count: they were tried
  // before.
  enum class Found : std::uint8_t { none, ended, no_room };
  asio::awaitable<Found> try_end_wait(std::shared_ptr<Active> active, std::uint32_t ordinal,
                                      journal::Lsn newest = 0);
  asio::awaitable<void> refuse_wait(std::shared_ptr<Active> active, std::uint32_t ordinal,
                                    std::string error);
  asio::awaitable<void> look_at_wait(std::shared_ptr<Active> active, std::uint32_t ordinal);
  static bool open_wait(const Active& active, std::uint32_t ordinal);
  // Lets those who wait for this run, which has ended, go on.
  void tell_parents(const Run& child);
  asio::awaitable<void> run_spawn(std::shared_ptr<AgentProcess> agent, HostCall call);
  // What a wait gives.
  struct WaitEnd {
    Outcome outcome;
    journal::Lsn event = 0;                // what it is of; 0 for nothing
    std::optional<journal::Payload> kept;  // where it is on the disk already
  };
  // The record of a step's end; its value is on disk where it is a blob. One that there is no room
  // for, and is not kept, becomes a JournalFullError.
  struct MadeEnd {
    journal::StepEnd record;
    bool is_kept = true;
  };
  // False where the wait has ended meanwhile.
  asio::awaitable<bool> end_wait(std::shared_ptr<Active> active, std::uint32_t ordinal,
                                 WaitEnd given);
  // The record of that.
  asio::awaitable<MadeEnd> make_wait_end(WaitEnd given);
  // The same as end_wait(), also of a run that nobody works on: it is paused, or its cell is.
  asio::awaitable<bool> end_approval(Run& run, std::uint32_t ordinal, std::string answer);
  void give_outcome(const Active& active, std::uint32_t ordinal, Outcome outcome);
  asio::awaitable<Found> try_end_by_event(std::shared_ptr<Active> active, std::uint32_t ordinal,
                                          journal::Lsn newest);
  asio::awaitable<bool> has_room_for_end(std::shared_ptr<Active> active, std::uint32_t ordinal,
                                         std::size_t bytes);
  asio::awaitable<void> look_later(std::shared_ptr<Active> active, std::uint32_t ordinal);
  void ask_to_suspend(Active& active);
  asio::awaitable<void> wake_for(std::shared_ptr<Active> active);
  void on_suspended(Active& active, const AgentFrame& frame);

  asio::awaitable<void> run_shell(std::shared_ptr<AgentProcess> agent, HostCall call);

  // ---- calls of models ----
  struct LlmCall;
  bool is_asked_already(std::uint32_t run, std::uint32_t ordinal) const;
  bool is_llm_known(const Run& run, std::uint32_t ordinal) const;
  asio::awaitable<bool> is_llm_settled(Active& active, std::uint32_t ordinal);
  // Gives up those of the run: it has ended, or is cancelled.
  void end_llm_calls(std::uint32_t run);
  // Throws Error `unavailable` where the cell asks too much at once.
  void require_llm_room() const;
  asio::awaitable<void> run_llm(HostCall call);
  asio::awaitable<void> carry_llm(std::shared_ptr<LlmCall> own);
  asio::awaitable<bool> may_ask(LlmCall& own, std::optional<WallTime> due);
  asio::awaitable<std::optional<WallTime>> ask_once(std::shared_ptr<LlmCall> own);
  asio::awaitable<std::optional<WallTime>> after_failure(LlmCall& own, const llm::Failure& failure);
  struct Printed;  // by a command, a model or the cell; held back while there is no room for it
  void tell_delta(const LlmCall& own, const std::shared_ptr<Printed>& printed,
                  const std::string& text);
  asio::awaitable<void> count_llm(const LlmCall& own, llm::Usage usage);
  asio::awaitable<void> end_llm(LlmCall& own, Outcome outcome);
  asio::awaitable<void> pause_for_budget(std::uint32_t number);
  // Of the attempt that is under way.
  HostCall call_of(const Active& active) const;
  void note_late_step(const AgentFrame& frame);
  void let_go(AgentProcess& agent, const std::string& run_id);
  void answer(std::shared_ptr<AgentProcess> agent, const HostCall& call, Outcome outcome);

  // The `run` frame: what the agent needs to begin an attempt, with all that the journal holds of
  // the run. nullopt where it is more than `replay_bytes_max`. Throws Error.
  struct ReplayImage {
    json::Value header;   // without `replay`
    std::string entries;  // of `replay`: JSON objects, one after the other
    std::shared_ptr<ImageBody> body;
  };
  // While the run goes on it is made anew: after `give_up` it throws `trial_without_end`.
  asio::awaitable<std::optional<ReplayImage>> replay_image(
      const Run& run, const std::string& agent_digest,
      std::chrono::steady_clock::time_point give_up = std::chrono::steady_clock::time_point::max());
  void give(ReplayImage image);  // to the agent
  // What the next execution of an open step goes on from: members of its entry.
  json::Object what_was_open(const Step& step);
  asio::awaitable<Trial> try_with(const Run& run, AgentVersion version);
  void on_trial(TrialInProgress& trial, const AgentFrame& frame);
  asio::awaitable<Started> restart_now(std::uint32_t number, Restart how);
  asio::awaitable<std::vector<journal::Record>> history_before(std::shared_ptr<const Run> run,
                                                               journal::Lsn end);
  void require_room_for_run() const;

  // ---- room in the journal: what is under way can always be recorded ----
  // How many ends are owed a record: those of all active runs and of their open commands.
  std::uint64_t count_ends();
  // Whether so many bytes of records leave what is owed to these, and to the steps that the agent
  // may have begun already.
  bool has_room(std::uint64_t bytes);
  // Returns once that is so; false where the disk has no room for it.
  asio::awaitable<bool> takes(std::uint64_t bytes);
  // The same, throwing `journal_full`.
  asio::awaitable<void> require_room(std::uint64_t bytes);
  // The same for what is new; false where it must not begin.
  asio::awaitable<bool> may_begin(std::uint64_t bytes);
  bool can_begin(std::uint64_t bytes);  // at once
  // Where that is so: returns once there is room to record that it was refused. Throws
  // `journal_full` where there is none, and for a run that rolls back: nothing of that is left out,
  // it waits until there is.
  asio::awaitable<void> require_refusable(const Active& active, std::uint64_t bytes);
  // Returns once an attempt of it may begin, or is not wanted any more.
  asio::awaitable<void> wait_for_journal(Active& active);
  void take_output(const std::shared_ptr<Printed>& printed, journal::Event event);
  // Not where the attempt of the run that it belongs to is over.
  bool is_heard(const Printed& printed);
  asio::awaitable<void> give_output(std::shared_ptr<Printed> printed);
  // Returns once all of it is appended, or left out.
  static asio::awaitable<void> all_given(std::shared_ptr<Printed> printed);
  // The value as the member of a record that there is room for; else it throws `journal_full`.
  asio::awaitable<journal::Payload> store(std::string value);
  // The same; false where there is none.
  asio::awaitable<bool> is_stored(std::string value, journal::Payload& into);
  // Keeps a frame that there is no room for until there is, and what its run says behind it. It is
  // handled by a task of its own then, while the run may be paused or go on in another attempt: who
  // handles a frame asks Active::serves() behind each await.
  asio::awaitable<void> hold(AgentProcess& agent, std::shared_ptr<Active> active, AgentFrame frame);
  asio::awaitable<void> handle_held(std::shared_ptr<Active> active);
  asio::awaitable<void> handle_each_held(std::shared_ptr<Active> active,
                                         std::shared_ptr<AgentProcess> agent);
  // They are of an attempt that is over.
  void drop_held(Active& active);
  // How many steps the agent may have going without asking for each.
  std::uint32_t steps_for_room();
  void tell_room();
  void say_may_begin(const Run& run, std::uint32_t ordinal);
  void say_refused(const Run& run, std::uint32_t ordinal);

  // Ends, or pauses the run for, what was interrupted and says that it must not be executed again;
  // true where it is paused.
  asio::awaitable<bool> settle_interrupted(Active& active, const std::string& cause);
  void append_interrupted(const Run& run, const Step& step, const std::string& cause);
  asio::awaitable<journal::StepEnd> make_decided(const Step& step, Decision decision);
  enum class Shown : std::uint8_t { plainly, sealed };
  asio::awaitable<MadeEnd> make_step_end(Outcome outcome, Shown how = Shown::plainly);
  // `not_kept`: the value became that error. `too_late`: nothing is recorded, as the attempt of the
  // run is over.
  enum class StepFate : std::uint8_t { kept, not_kept, too_late };
  asio::awaitable<StepFate> append_step_end(Active& active, std::uint32_t ordinal, Outcome outcome,
                                            Shown how = Shown::plainly);
  asio::awaitable<void> pause_run(Active& active, std::string reason, std::string detail);
  asio::awaitable<void> end_run(Active& active, std::string status, journal::Payload value);
  asio::awaitable<void> end_cancelled(Active& active);
  asio::awaitable<void> cancel_now(std::uint32_t number, Cancel how);
  // The run and all that it began, as far as a cancel is news to them.
  std::vector<Run*> to_cancel(std::uint32_t number, Cancel how);
  void act_on_cancel(const std::shared_ptr<Active>& active, const Cancel& how);
  // What the method of a run that is cancelled with rollback has to end.
  std::int64_t grace_ms(const Active& active) const;
  asio::awaitable<void> pause_now(std::uint32_t number, Pause why);
  asio::awaitable<void> resume_now(std::uint32_t number, std::optional<Decision> decision);
  asio::awaitable<void> upgrade_now(std::uint32_t number, AgentVersion version);
  asio::awaitable<Run*> paused_run(std::uint32_t number);
  // The same, once there is room for it to go on, and nobody else is in its setup().
  asio::awaitable<Run*> resumable_run(std::uint32_t number);
  asio::awaitable<void> let_go_on(std::shared_ptr<Active> active);
  asio::awaitable<void> let_go_on_soon(std::shared_ptr<Active> active);
  asio::awaitable<void> pause_for(Active& active, const Error& failure);
  asio::awaitable<void> answer_now(std::uint32_t number, std::string step, std::string answer);
  asio::awaitable<bool> receive_now(std::uint32_t number, std::string id, std::string type,
                                    std::string payload);
  class ReceivingEvent;
  // Waits until no other event with the same id is on its way to that run.
  asio::awaitable<ReceivingEvent> receive_alone(std::uint32_t run, std::string id);
  asio::awaitable<void> end_after_grace(std::shared_ptr<Active> active, Cancel how);
  // The run of this key; nullptr for none. Throws Error `conflict` where it is of another call.
  const Run* begun_before(const Start& request);
  const Run* begun_before(const Run& source, const Restart& request);
  [[noreturn]] static void throw_key_reused(const Run& run, std::string_view how_it_began);
  asio::awaitable<Started> once_durable(const Run& begun_before);
  std::shared_ptr<Active> add_active(Run& run, bool suspended = false);
  std::shared_ptr<Active> find_active(std::uint32_t number) const;
  std::shared_ptr<Active> find_active(std::string_view run_id) const;
  bool is_active(std::uint32_t number) const;
  bool setup_is_running() const noexcept;
  bool is_setup_free() const noexcept { return runs_.setup_done() || !setup_is_running(); }
  // Returns once nobody is in setup(), or `is_moot`. Throws Error `conflict` where a run is paused
  // in it, other than `own`.
  asio::awaitable<void> await_setup(const Run* own, std::function<bool()> is_moot);
  // Returns once a run may begin, or `own` go on, with so many bytes: there is room, and where it
  // `needs_setup` nobody else is in that; or once `is_moot`. Throws Error, as `journal_full`.
  asio::awaitable<void> await_begin(std::uint64_t bytes, bool needs_setup, const Run* own,
                                    std::function<bool()> is_moot);

  asio::any_io_executor executor_;
  CellJournal& journal_;
  RunTable& runs_;
  RunnerHost& host_;
  const RunnerConfig& config_;  // may change
  std::map<std::uint32_t, std::shared_ptr<Active>> active_;
  std::shared_ptr<AgentProcess> agent_;
  std::string host_missing_;       // JSON: why the last agent host could not run
  std::string agent_end_cause_;    // why we ended it ourselves; empty: it ended by itself
  std::string starting_is_stale_;  // why the one that is starting must not stay; empty: it may
  std::size_t synchronous_calls_ = 0;
  std::size_t placed_calls_ = 0;
  std::uint32_t told_steps_ = 0;                  // that the agent may have going without asking
  std::uint32_t granted_steps_ = 0;               // as it has read so far: room for these is kept
  std::shared_ptr<Printed> told_;                 // by the cell
  std::set<std::shared_ptr<LlmCall>> llm_calls_;  // under way; shared with their coroutines
  std::int64_t room_frames_ = 0;                  // that told it
  std::uint64_t counted_ends_ = 0;                // by count_ends(), when so much was appended:
  journal::Lsn counted_at_ = 0;
  std::map<std::string, std::shared_ptr<TrialInProgress>>
      trials_;  // by the id that the agent knows
  // Held by each request under way.
  std::shared_ptr<const bool> requests_ = std::make_shared<const bool>(true);
  std::shared_ptr<const bool> images_ = std::make_shared<const bool>(true);  // held as one is made
  async::Serial image_checks_;  // of what images hold in blobs, or sealed
  const std::shared_ptr<std::size_t> held_image_bytes_ =
      std::make_shared<std::size_t>(0);                        // ImageBody
  async::Serial comparisons_;                                  // of waits with events
  std::set<std::pair<std::uint32_t, std::string>> receiving_;  // events: their run and id
  async::Event received_;                                      // one of them is not any more
  async::Event settled_;                                       // some run settled
  async::Event starting_;                                      // an agent start ended
  bool is_starting_ = false;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
