// What an agent is given of a run that goes on; the same for a trial with another version, and for
// a run that begins again from somewhere in another one.

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include "base/fault.h"
#include "base/random.h"
#include "base/text.h"
#include "cell/image_body.h"
#include "cell/layout.h"
#include "cell/mismatch.h"
#include "cell/runner_parts.h"
#include "wire/agent_frame.h"

namespace cellar::cell {

namespace {

// What is copied at most, all records of a run together.
constexpr std::size_t kCopiedBytesMax = 32 << 20;
// What is read for that, with what of it is not copied.
constexpr std::size_t kLookedAtBytesMax = 8 * kCopiedBytesMax;
// The header of a `run` frame without its entries.
constexpr std::size_t kImageFieldsBytes = 64 << 10;
constexpr std::size_t kImageEntriesMax = wire::kAgentHeaderMax - kImageFieldsBytes;
// Read without a turn of the loop for others.
constexpr std::size_t kReadAtOnceBytes = 1 << 20;

// Adds an entry of `replay` as JSON; `more` is what an open step has. There are tens of thousands:
// as text they take an eighth of the time that values do.
void append_entry(std::string& out, const Step& step, std::size_t value_bytes,
                  const json::Object& more) {
  const auto number = [&out](std::string_view key, std::uint64_t value) {
    out.append(key).append(std::to_string(value));
  };
  const auto text = [&out](std::string_view key, std::string_view value) {
    json::append_quoted(out.append(key), value);
  };
  number(out.empty() ? "{\"o\":" : ",{\"o\":", step.ordinal);
  text(",\"k\":", step.kind);
  text(",\"n\":", step.name);
  text(",\"fp\":", step.args_fp);
  text(",\"s\":", step.status == StepStatus::ok      ? "ok"
                  : step.status == StepStatus::error ? "error"
                                                     : "open");
  number(",\"at\":", step.begun);
  number(",\"end\":", step.outcome == 0 ? step.begun : step.outcome);
  number(",\"len\":", value_bytes);
  if (step.sensitive) text(",\"sens\":", "output");
  if (!step.codec.empty()) text(",\"c\":", step.codec);
  for (const auto& [key, value] : more) {
    json::append_quoted(out += ',', key);
    out.append(":").append(json::dump(value));
  }
  out += '}';
}

// What belongs to what a run did, not to how it was carried through.
bool is_history(journal::Type type) noexcept {
  using journal::Type;
  switch (type) {
    case Type::step_start:
    case Type::step_attempt_failed:
    case Type::step_end:
    case Type::step_interrupted:
    case Type::value:
    case Type::progress:
    case Type::event:
    case Type::event_received:
    case Type::wait_matched:
    case Type::continued:
      return true;
    default:
      return false;
  }
}

bool is_called(const Run& run, const Step& step, const StepName& by) {
  if (!step.is_step()) return false;
  if (const auto* ordinal = std::get_if<std::uint32_t>(&by)) return step.ordinal == *ordinal;
  const bool is_rollback = run.rollback != 0 && step.ordinal > run.rollback;
  return !is_rollback && step.name == std::get<std::string>(by);
}

// Throws Error `not_found`, or `invalid_argument` where several are called so.
const Step& step_called(const Run& run, const StepName& by) {
  constexpr std::size_t kOrdinalsTold = 20;
  const Step* found = nullptr;
  std::size_t count = 0;
  std::string ordinals;
  for (const auto& [ordinal, step] : run.steps) {
    if (!is_called(run, step, by)) continue;
    found = &step;
    if (++count <= kOrdinalsTold) ordinals += (count == 1 ? "" : ", ") + std::to_string(ordinal);
  }
  if (count > 1) {
    throw Error(ErrorCode::invalid_argument, "step_ambiguous",
                "run " + run.id + " has " + std::to_string(count) + " steps \"" + found->name +
                    "\", with the ordinals " + ordinals + (count > kOrdinalsTold ? ", …" : ""),
                "send the ordinal as \"from\"");
  }
  if (found != nullptr) return *found;
  const auto* ordinal = std::get_if<std::uint32_t>(&by);
  throw Error(ErrorCode::not_found, "step_not_found",
              "run " + run.id + " has no step " +
                  (ordinal != nullptr ? "with the ordinal " + std::to_string(*ordinal)
                                      : "\"" + std::get<std::string>(by) + "\""),
              "take the name, or the ordinal, of one of its \"steps\"");
}

}  // namespace

// ---- a run that goes on ----

namespace {

[[noreturn]] void throw_without_end() {
  throw Error(
      ErrorCode::timed_out, "trial_without_end",
      "the agent neither came to the end of what the run has recorded, nor differed from it",
      "look at what its code does outside of steps");
}

// No verdict: it may be the doing of another run.
[[noreturn]] void throw_agent_ended(const std::string& cause) {
  throw Error(
      ErrorCode::unavailable, "agent_exit",
      "the agent's process ended (" + cause + ") while the run was tried with it",
      "see what it prints; where that version ends its process, or never gives way, outside "
      "of steps, the cell's other runs begin another attempt each time");
}

}  // namespace

asio::awaitable<std::optional<Runner::ReplayImage>> Runner::replay_image(
    const Run& run, const std::string& agent_digest,
    std::chrono::steady_clock::time_point give_up) {
  const std::shared_ptr<const bool> is_made = images_;
  ReplayImage image;
  journal::Lsn newest_end = 0;
  do {  // Again where a wait has ended while values were read.
    newest_end = run.newest_end;
    if (std::chrono::steady_clock::now() >= give_up) throw_without_end();
    auto open = [this](std::string_view sealed) { return host_.open_value(sealed); };
    image.body = std::make_shared<ImageBody>(journal_, std::move(open), held_image_bytes_);
    const journal::Lsn params = run.continued != 0 ? run.continued : run.created;
    image.header = frame_for(run, "run");
    json::Object& fields = image.header.as_object();
    fields.set("method", run.method);
    fields.set("agent", CellLayout::agent_version_inside(agent_digest, run.agent_language));
    fields.set("setup", run.setup);
    fields.set("base", run.base);
    fields.set("params_len", image.body->add(params, journal_.payload_at(params), false));
    image.entries.clear();
    journal::ReadAhead ahead;
    std::size_t read_bytes = 0;  // since others had their turn
    std::uint32_t next = 0;
    for (auto at = run.steps.begin(); at != run.steps.end(); at = run.steps.lower_bound(next)) {
      const Step& step = at->second;
      next = at->first + 1;
      const std::size_t entries_before = image.entries.size();
      std::size_t size = 0;
      if (step.outcome != 0) {
        journal::Payload value = journal_.payload_at(step.outcome, &ahead);
        read_bytes += value.bytes.size();
        size = image.body->add(step.outcome, std::move(value), step.sealed);
      }
      const bool is_open = step.status == StepStatus::open;
      append_entry(image.entries, step, size, is_open ? what_was_open(step) : json::Object());
      read_bytes += image.entries.size() - entries_before;
      if (image.body->bytes() > config_.replay_bytes_max ||
          image.entries.size() > kImageEntriesMax) {
        co_return std::nullopt;
      }
      if (read_bytes < kReadAtOnceBytes) continue;
      read_bytes = 0;
      co_await asio::post(asio::use_awaitable);
    }
    if (!image.body->needs_check()) continue;
    const auto turn = co_await image_checks_.turn();  // Large values: one run's at a time.
    co_await image.body->check();
  } while (newest_end != run.newest_end);
  co_return image;
}

void Runner::give(ReplayImage image) {
  std::string header = json::dump(image.header);
  header.pop_back();
  header.append(",\"replay\":[").append(image.entries).append("]}");
  const std::size_t bytes = image.body->bytes();
  agent_->send_image(header, bytes, [body = std::move(image.body)] { return body->next(); });
}

json::Object Runner::what_was_open(const Step& step) {
  json::Object more;
  more.set("started_at", to_unix_ms(step.started_at));
  if (step.failed_attempts != 0) more.set("tries", step.failed_attempts);
  if (step.retry_at) more.set("retry_at", to_unix_ms(*step.retry_at));
  if (step.progress == 0) return more;
  auto progress = journal_.read<journal::Progress>(step.progress);
  if (progress.sealed) {
    const auto plain = host_.open_value(from_base64(progress.value).value_or(""));
    if (!plain) throw_values_sealed();
    progress.value = *plain;
  }
  more.set("progress", json::parse(progress.value));
  return more;
}

// ---- a trial with another version ----

asio::awaitable<Runner::Trial> Runner::try_version(std::uint32_t number, AgentVersion version) {
  return to_end(try_with(*runs_.find(number), std::move(version)));
}

// `run` is in no journal where it is to begin with what another one has recorded.
asio::awaitable<Runner::Trial> Runner::try_with(const Run& run, AgentVersion version) {
  const AgentLanguage language = version.language;
  if (language != run.agent_language) {
    throw Error(ErrorCode::conflict, "replay_unsupported",
                "run " + run.id + " is of an agent in " + std::string(name_of(run.agent_language)) +
                    ", and is not tried with one in another language",
                "let the run end on its version, or restart it from its beginning");
  }
  if (trials_.size() >= kTrialsMax) {
    throw Error(
        ErrorCode::exhausted, "too_many_trials",
        "the cell tries " + std::to_string(kTrialsMax) + " runs with other versions already",
        "wait until one has ended");
  }
  co_await host_.wake_up();
  const auto give_up = std::chrono::steady_clock::now() + kTrialLimit;
  const auto is_wanted = [give_up] { return std::chrono::steady_clock::now() < give_up; };
  co_await ensure_agent(language, is_wanted);
  std::optional<ReplayImage> image = co_await replay_image(run, version.digest, give_up);
  if (!image || !agent_ || agent_->language() != language) {
    throw Error(ErrorCode::unavailable, image ? "agent_exit" : "replay_too_large",
                image ? "the agent ended before the trial began"
                      : "the run has recorded more than an agent can be given at once");
  }
  // A run of its own for the agent, which neither asks for nor is told anything of the real one.
  const std::string id = run.id + "/trial-" + random_hex(4);
  image->header.as_object().set("run", id);
  image->header.as_object().set("trial", true);
  image->header.as_object().set("id", run.id);  // As which its code knows itself.
  const auto trial = std::make_shared<TrialInProgress>(executor_);
  trials_[id] = trial;
  give(*std::exchange(image, std::nullopt));
  co_await trial->ended.wait_for(kTrialLimit);
  trials_.erase(id);
  if (agent_ && !trial->outcome) {
    const json::Value forget = json::object({{"t", "forget"}, {"run", id}, {"a", run.attempt}});
    agent_->send(forget, {});
  }
  if (trial->outcome) co_return *std::move(trial->outcome);
  if (!trial->agent_end.empty()) throw_agent_ended(trial->agent_end);
  throw_without_end();
}

namespace {

std::string message_of(const std::string& detail) {
  const json::Value value = json::parse(detail);
  const std::string message = value.is_object() ? text_of(value, "message") : std::string();
  return message.empty() ? detail : message;
}

}  // namespace

void Runner::Trial::require_ok() const {
  if (ok) return;
  throw Error(
      ErrorCode::conflict, "upgrade_differs",
      "that version of the agent does not do what the run has recorded: " + message_of(detail),
      "mark what is new with ctx.getVersion and what is gone with ctx.removed; try it with "
      "POST .../replay");
}

void Runner::on_trial(TrialInProgress& trial, const AgentFrame& frame) {
  const std::string type = text_of(frame.header, "t");
  if (type != "trial" && type != "mismatch") return;
  trial.outcome = Trial{.ok = type == "trial" && flag_of(frame.header, "ok"),
                        .matched = ordinal_of(frame),
                        .detail = explain_mismatch(checked_error(frame.body), ordinal_of(frame))};
  trial.ended.set();
}

// ---- a run that begins again ----

namespace {

// Where in the record of a run another one begins, and how that one was then: it may go on
// meanwhile.
struct Cut {
  journal::Lsn before = 0;
  std::uint32_t ordinal = 0;   // of what is asked for first
  bool setup = false;          // it calls setup() first
  std::uint32_t rollback = 0;  // where it began to roll back
};

[[noreturn]] void throw_undoing(const Run& source) {
  throw Error(ErrorCode::conflict, "step_undone",
              "run " + source.id + " is to undo, or has begun to undo, what its steps did",
              "restart it from the first step that was undone or one before it, once it has ended, "
              "or from the beginning");
}

bool is_undoing(const Run& source) {
  return !is_terminal(source.status) && (source.undoes || source.rollback != 0);
}

// How the steps are called that have undone others: "rollback NAME", numbered where there was one
// of that name before.
std::set<std::string> undoing_steps(const Run& source) {
  std::set<std::string> names;
  for (const auto& [ordinal, step] : source.steps) {
    if (ordinal > source.rollback) names.insert(step.name);
  }
  return names;
}

bool is_undone(const Run& source, const Step& step, const std::set<std::string>& undoing) {
  const std::string name = "rollback " + step.name;
  if (undoing.contains(name)) return true;
  const bool is_numbered = std::ranges::any_of(source.steps, [&](const auto& entry) {
    return entry.first < source.rollback && entry.second.name == name;
  });
  const auto numbered = undoing.lower_bound(name + "#");
  return is_numbered && numbered != undoing.end() && numbered->starts_with(name + "#");
}

// What steps before this one did is undone: the run would go on as if it were there.
void require_not_undone(const Run& source, const Step& from) {
  if (source.rollback == 0) return;
  const std::set<std::string> undoing = undoing_steps(source);
  for (const auto& [ordinal, step] : source.steps) {
    if (ordinal >= from.ordinal || !is_undone(source, step, undoing)) continue;
    throw Error(ErrorCode::conflict, "step_undone",
                "run " + source.id + " has undone step \"" + step.name +
                    "\", which lies before \"" + from.name + "\"",
                "restart it from \"" + step.name + "\" or a step before it, or from the beginning");
  }
}

Cut cut_of(const Run& source, const std::variant<StepName, Runner::RecordEnd>& from,
           journal::Lsn last) {
  Cut cut{.setup = source.setup, .rollback = source.rollback};
  const auto* name = std::get_if<StepName>(&from);
  if (name != nullptr) {
    const Step& step = step_called(source, *name);
    require_not_undone(source, step);
    cut.before = step.begun;
    cut.ordinal = step.ordinal;
  } else {
    if (source.rollback != 0) throw_undoing(source);
    cut.before = last + 1;
    cut.ordinal = 1 + (source.steps.empty() ? source.base : source.steps.rbegin()->first);
  }
  if (is_undoing(source)) throw_undoing(source);
  return cut;
}

void require_undoes_nothing_since(const Run& source, const Cut& cut) {
  if (source.rollback != cut.rollback || is_undoing(source)) throw_undoing(source);
}

bool has_setup_end(const std::vector<journal::Record>& history) {
  return std::any_of(history.begin(), history.end(), [](const journal::Record& record) {
    if (record.type != journal::Type::value) return false;
    const auto value = journal::Value::decode(record.body);
    return value && value->kind == "setup";
  });
}

// The run that begins with this, as it will be: its records are the other one's still.
std::shared_ptr<const Run> run_to_be(const journal::RunCreated& created, const Run& source,
                                     const std::vector<journal::Record>& history) {
  RunTable runs;
  runs.apply({.lsn = source.created,
              .run = source.number,
              .type = journal::Type::run_created,
              .body = created.encode()});
  for (const journal::Record& record : history) runs.apply(record);
  return runs.find(source.number)->shared_from_this();
}

// Whether `copy` was begun again where it is asked for now. The source may have gone on since, to a
// generation in which that step is not told any more.
bool begins_at(const Run& copy, const Run& source,
               const std::optional<std::variant<StepName, Runner::RecordEnd>>& from) {
  if (!from) return copy.forked.ordinal == 0;
  const auto* name = std::get_if<StepName>(&*from);
  const auto step = source.steps.find(copy.forked.ordinal);
  if (name == nullptr || step == source.steps.end()) return copy.forked.ordinal != 0;
  return is_called(source, step->second, *name);
}

[[noreturn]] void throw_in_setup(const Run& source) {
  throw Error(ErrorCode::conflict, "setup_done",
              "that step of run " + source.id + " is one of setup(), which is done",
              "restart it from a step of its method, or from its beginning");
}

}  // namespace

const Run* Runner::begun_before(const Run& source, const Restart& request) {
  if (!request.idempotency_key) return nullptr;
  const Run* run = runs_.find_key(*request.idempotency_key);
  if (run == nullptr) return nullptr;
  if (run->forked.run_id != source.id || !begins_at(*run, source, request.from)) {
    throw_key_reused(*run, "otherwise, or again from another run or step");
  }
  return run;
}

asio::awaitable<Runner::Started> Runner::restart(std::uint32_t number, Restart how) {
  return to_end(restart_now(number, std::move(how)));
}

asio::awaitable<Runner::Started> Runner::restart_now(std::uint32_t number, Restart how) {
  Run& source = *runs_.find(number);
  const auto is_made = [&] { return begun_before(source, how) != nullptr; };
  if (const Run* run = begun_before(source, how)) co_return co_await once_durable(*run);
  co_await journal_.room();
  journal::RunCreated created;
  created.method = source.method;
  created.params = co_await journal_.value_of(source.created);
  set_version(created, {.digest = source.agent_digest, .language = source.agent_language});
  std::vector<journal::Record> history;
  journal::ForkedFrom forked;
  forked.run_id = source.id;
  std::optional<Cut> cut;
  if (how.from) {
    cut = cut_of(source, *how.from, journal_.last_appended());
    forked.ordinal = cut->ordinal;
    created.setup = cut->setup;
    history = co_await history_before(source.shared_from_this(), cut->before);
  }
  created.idem_key = how.idempotency_key;
  created.run_id = new_run_id(runs_.next_number());
  if (cut && how.version) {
    const auto run = run_to_be(created, source, history);
    (co_await try_with(*run, *how.version)).require_ok();
  }
  if (how.version) set_version(created, *how.version);
  std::size_t bytes = journal::frame_size(created.params.size());
  for (const journal::Record& record : history) bytes += journal::frame_size(record.body.size());
  // It comes to the end of setup() in its history, or begins or goes on with it.
  const bool is_past_setup = has_setup_end(history) || (cut && !cut->setup);
  co_await await_begin(bytes, !is_past_setup, nullptr, is_made);
  if (const Run* run = begun_before(source, how)) co_return co_await once_durable(*run);
  require_room_for_run();
  if (cut) require_undoes_nothing_since(source, *cut);
  if (cut && !is_past_setup && runs_.setup_done()) throw_in_setup(source);
  if (!cut) created.setup = !runs_.setup_done();
  const std::uint32_t copy = runs_.next_number();
  const Started started{.id = new_run_id(copy), .is_new = true};  // Others may have begun.
  created.run_id = started.id;
  journal_.require_takes(bytes + 2 * kBareRecordBytes);
  fault_point("restart.before_written");
  journal_.append(copy, 0, created);
  journal_.append(copy, 0, forked);
  std::map<journal::Lsn, journal::Lsn> events;  // where they were → where their copies are
  for (const journal::Record& record : history) {
    if (record.type == journal::Type::wait_matched) {
      auto matched = journal_.read<journal::WaitMatched>(record.lsn);
      const auto event = events.find(matched.event);
      if (event == events.end()) continue;  // Retention has removed it, with an older generation.
      matched.event = event->second;
      journal_.append(copy, record.ordinal, matched);
    } else {
      events[record.lsn] = journal_.append_copy(copy, record);
    }
  }
  tasks_.spawn(drive(add_active(*runs_.find(copy)), "restart"));
  co_await journal_.sync();
  fault_point("restart.durable");
  co_return started;
}

// It goes on meanwhile, perhaps with another generation: it is told as it was.
asio::awaitable<std::vector<journal::Record>> Runner::history_before(std::shared_ptr<const Run> run,
                                                                     journal::Lsn end) {
  constexpr std::size_t kRecordsAtOnce = 2'000;
  const journal::Lsn continued = run->continued;
  std::vector<journal::Record> history;
  std::set<journal::Lsn> taken;  // events, by earlier generations
  std::size_t bytes = 0;
  std::size_t looked_at_bytes = 0;
  journal::Lsn seen = 0;
  const auto look = [&](const journal::Record& record) {
    seen = record.lsn;
    if (record.lsn >= end) return;
    const bool is_older = record.lsn < continued;
    if (is_older && record.type == journal::Type::wait_matched) {
      taken.insert(journal_.read<journal::WaitMatched>(record.lsn).event);
    }
    const bool is_spent_already = llm_tokens_of(record) != 0;  // The other run has paid for it.
    const bool is_kept = is_history(record.type) && !is_spent_already &&
                         (!is_older || record.type == journal::Type::event_received);
    const std::size_t frame_bytes = journal::frame_size(record.body.size());
    looked_at_bytes += frame_bytes;
    if (is_kept) bytes += frame_bytes;
    if (bytes > kCopiedBytesMax || looked_at_bytes > kLookedAtBytesMax) {
      throw Error(ErrorCode::too_large, "run_too_large",
                  "run " + run->id + " has recorded more than " + std::to_string(kCopiedBytesMax) +
                      " bytes before that step, or much else",
                  "restart it from an earlier step, or from its beginning");
    }
    if (is_kept) history.push_back(record);
  };
  while (seen < end && journal_.for_each(run->number, seen, kRecordsAtOnce, look) > 0) {
    co_await asio::post(asio::use_awaitable);
  }
  // What was trimmed meanwhile had been taken, too, though nothing told of that any more.
  const auto is_taken = [&](const journal::Record& record) {
    return taken.contains(record.lsn) || record.lsn < journal_.first();
  };
  std::erase_if(history, is_taken);
  co_return history;
}

}  // namespace cellar::cell
