#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "cell/run.h"
#include "journal/records.h"

namespace cellar::cell {

// One event of a run or of the cell itself, as clients see it. `seq` is the lsn of its record: it
// grows, with gaps, and all of a cell have one order.
struct RunEvent {
  journal::Lsn seq = 0;
  std::string run;  // its id, where all events of a cell are told; empty for the cell's own
  WallTime at;
  std::uint32_t step = 0;  // the ordinal of the step that it came from; 0: none
  std::string type;
  std::string data;  // JSON text
  // A value of `data` that takes long to read: there it is null until complete() put it in.
  struct Missing {
    std::string key;
    journal::Payload value;
  };
  std::optional<Missing> missing;
};

// Takes as long as the value is large; any thread.
void complete(RunEvent& event, const std::string& bytes);

// What is shown in place of an error of a sensitive step: JSON text with its class, where that says
// nothing else. `error` is JSON text.
std::string redacted_error(const std::string& error);

// The event that a record of `run` means; nullopt for records that are nobody's business.
//
//   run.started     {run, method}               step.started    {ordinal, name, kind, execution}
//   run.attempt     {attempt, cause}            reset           the same, where it is started again
//   run.paused      {reason, detail?}           step.completed  {ordinal, name, kind, ok, error?}
//   run.resumed     {}                          stdout, stderr  {text} or {b64}
//   run.completed   {result}                    stream, log     what the agent gave
//   run.failed      {error}                     step.retry      {ordinal, name, kind, attempt,
//   run.cancelled   {error}                                      error, next_at (ms)}
//   step.interrupted {ordinal, name, kind, execution, cause}
//   step.progress   {ordinal, name, kind, progress}
//   run.rollback    {reason: failed or cancelled, error}
//   llm.delta       {ordinal, attempt, text}    llm.usage       {ordinal, model, input_tokens,
//                                               output_tokens}
//   Of a sensitive step `sensitive` is "output", and neither error nor progress is told.
std::optional<RunEvent> event_of(const journal::Record& record, const Run& run);

// The same for a record of no run: what the cell told (Cell::tell()).
std::optional<RunEvent> cell_event_of(const journal::Record& record);

// Whether nothing follows it.
bool is_last(const RunEvent& event) noexcept;

}  // namespace cellar::cell
