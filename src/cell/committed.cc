#include "cell/committed.h"

#include <algorithm>

namespace cellar::cell {
namespace {

Fate shown_if(bool is_shown) noexcept { return is_shown ? Fate::shown : Fate::hidden; }

bool is_of_turn(std::uint32_t turn, std::uint32_t counted) noexcept {
  return turn == 0 || turn == counted;
}

Fate of_past(journal::Lsn lsn, std::uint32_t ordinal, std::uint32_t turn, const Run& run) {
  const auto found = std::lower_bound(
      run.past.begin(), run.past.end(), ordinal,
      [](const PastSaid& past, std::uint32_t number) { return past.ordinal < number; });
  if (found == run.past.end() || found->ordinal != ordinal) return Fate::hidden;
  return shown_if(found->behind < lsn && lsn < found->outcome && is_of_turn(turn, found->turn));
}

// Of what the step with this ordinal said.
Fate of_said(journal::Lsn lsn, std::uint32_t ordinal, std::uint32_t turn, const Run& run,
             journal::Lsn durable) {
  if (ordinal <= run.base) return of_past(lsn, ordinal, turn, run);
  const auto found = run.steps.find(ordinal);
  if (found == run.steps.end()) return Fate::hidden;
  const Step& step = found->second;
  if (lsn <= step.said_behind || !is_of_turn(turn, step.said_turn)) return Fate::hidden;
  if (step.status != StepStatus::open) {
    if (lsn > step.outcome) return Fate::hidden;  // Its function went on behind its end.
    return step.outcome > durable ? Fate::undecided : Fate::shown;
  }
  // A call of a model goes on while its run is paused.
  const bool is_left = is_terminal(run.status) || (run.rollback != 0 && ordinal < run.rollback) ||
                       (run.status == RunStatus::paused && step.kind != "llm");
  return is_left ? Fate::hidden : Fate::undecided;
}

Fate of_event(const journal::Record& record, const Run& run, journal::Lsn durable) {
  const auto body = journal::Event::decode(record.body);
  if (!body) return Fate::hidden;
  if (body->type == kLlmUsage) return Fate::shown;  // What was used stays used.
  if (record.ordinal == 0) {
    // One of an older version does not say of which step it is.
    if (body->step == 0) return Fate::hidden;
    return of_said(record.lsn, body->step, body->turn, run, durable);
  }
  const bool is_of_method = body->type == "stream" || body->type == "log";
  if (is_of_method) return Fate::shown;
  return of_said(record.lsn, record.ordinal, body->turn, run, durable);
}

Fate of_end(const journal::Record& record, const Run& run) {
  if (record.ordinal <= run.base) return shown_if(record.lsn < run.continued);
  const auto found = run.steps.find(record.ordinal);
  return shown_if(found != run.steps.end() && found->second.outcome == record.lsn);
}

}  // namespace

Fate fate_of(const journal::Record& record, const Run& run, journal::Lsn durable) {
  using journal::Type;
  switch (record.type) {
    case Type::step_start: {
      // A wait begins once, and somebody may have to answer it.
      const auto body = journal::StepStart::decode(record.body);
      return shown_if(body && is_wait(body->kind));
    }
    case Type::step_attempt_failed:
    case Type::step_interrupted:
      return Fate::hidden;
    case Type::progress: {
      const auto body = journal::Progress::decode(record.body);
      if (!body) return Fate::hidden;
      return of_said(record.lsn, record.ordinal, body->turn, run, durable);
    }
    case Type::event:
      return of_event(record, run, durable);
    case Type::step_end:
      return of_end(record, run);
    default:
      return Fate::shown;
  }
}

}  // namespace cellar::cell
