#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/patience.h"
#include "cli/run_view.h"

namespace cellar::cli {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

// Of one request.
constexpr seconds kAskedAtOnce{30};

bool is_settled(const json::Value& run) {
  const std::string status = column(run, "status");
  return status != "running" && status != "waiting";
}

json::Value ask(const RunAwait& command, seconds timeout, Context& context) {
  return context.api.get(
      run_path(command.run, "/await?timeout=" + std::to_string(timeout.count())));
}

// The run once it is settled, or as it is when the time is over. Bridges restarts of the daemon,
// once that has answered.
json::Value await(const RunAwait& command, Context& context) {
  const auto begun = Clock::now();
  const auto left = [&] {
    const auto waited = std::chrono::duration_cast<seconds>(Clock::now() - begun);
    return command.timeout_s ? seconds(*command.timeout_s) - waited : kAskedAtOnce;
  };
  json::Value run = ask(command, seconds(0), context);
  Patience patience;
  patience.heard();
  while (!is_settled(run) && left() > seconds(0)) {
    const auto asked_at = Clock::now();
    try {
      run = ask(command, std::min(left(), kAskedAtOnce), context);
      patience.heard();
      if (is_settled(run)) break;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable || !patience.is_left()) throw;
    }
    // It may answer at once: nobody works on the runs of a cell that is hibernated.
    if (Clock::now() - asked_at >= seconds(1)) patience.progressed();
    patience.wait();
  }
  return run;
}

int fail(const json::Value& run, const RunAwait& command) {
  const std::string status = column(run, "status");
  const RunTrouble trouble = trouble_of(run, command.run);
  if (status == "failed") {
    const json::Value* error = run.find("error");
    const std::string code = error == nullptr ? "" : column(*error, "code");
    throw Error(ErrorCode::internal, code.empty() ? "run_failed" : code, trouble.why);
  }
  const std::string name = "run " + command.run.run_id;
  if (status == "cancelled") {
    throw Error(ErrorCode::canceled, "run_cancelled", name + " was cancelled");
  }
  const std::string why = trouble.why.empty() ? "" : ": " + trouble.why;
  if (status == "paused") {
    throw Error(ErrorCode::conflict, "run_paused", name + " is " + status_of(run) + why,
                trouble.remedy);
  }
  throw Error(ErrorCode::timed_out, "run_not_settled",
              name + " is " + status_of(run) + " still" + why,
              trouble.remedy.empty() ? "wait longer: --timeout S" : trouble.remedy);
}

}  // namespace

int run(const RunAwait& command, Context& context) {
  const json::Value run = await(command, context);
  const bool is_completed = column(run, "status") == "completed";
  if (context.output.format() == Format::json) {
    context.output.json(run);
    return is_completed ? 0 : 1;
  }
  if (!is_completed) return fail(run, command);
  const json::Value* result = run.find("result");
  show_value(result == nullptr ? json::Value() : *result, context.output);
  return 0;
}

}  // namespace cellar::cli
