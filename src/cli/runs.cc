// `cellar runs`: one request each. What takes longer has a file of its own: run_log.cc,
// run_await.cc.

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/agent_file.h"
#include "cli/commands.h"
#include "cli/run_view.h"

namespace cellar::cli {
namespace {

constexpr std::int64_t kRunsShown = 100;

void show_run(const json::Value& run, const RunRef& ref, Output& output) {
  if (output.format() == Format::json) {
    output.json(run);
  } else {
    output.write(format_run(run, ref, output.look()));
  }
}

// Begins a run, and shows what a script goes on with.
int begin(const std::string& path, const json::Value& body, const std::optional<std::string>& key,
          Context& context) {
  std::vector<std::string> headers;
  if (key) headers.push_back("Idempotency-Key: " + *key);
  const json::Value run = context.api.post(path, body, headers);
  if (context.output.format() == Format::json) {
    context.output.json(run);
  } else {
    context.output.text(column(run, "id") + "\n");
  }
  return 0;
}

// Sends it, and shows what became of the run.
int ask(const RunRef& ref, std::string_view what, const json::Value& body, Context& context) {
  show_run(context.api.post(run_path(ref, what), body), ref, context.output);
  return 0;
}

// The name of the approval that it waits for; none where that is several, or nothing.
std::optional<std::string> approval_of(const json::Value& run) {
  std::optional<std::string> name;
  const json::Value* steps = run.find("steps");
  if (steps == nullptr || !steps->is_array()) return name;
  for (const json::Value& step : steps->as_array()) {
    if (column(step, "kind") != "approval" || column(step, "status") != "waiting") continue;
    if (name) return std::nullopt;
    name = column(step, "name");
  }
  return name;
}

// What --from means: digits are an ordinal, but where a step is called so. Throws Error where one
// step is called so and another one has that ordinal.
json::Value step_of(const std::string& text, const RunRef& ref, Context& context) {
  const bool is_digits = text.find_first_not_of("0123456789") == text.npos;
  const auto ordinal = is_digits ? parse_int(text) : std::nullopt;
  if (!ordinal) return text;
  bool is_ordinal = false;
  std::optional<std::string> named;  // the ordinal of another one that is called so
  std::string name;
  const json::Value run = context.api.get(run_path(ref));
  const json::Value* steps = run.find("steps");
  if (steps == nullptr || !steps->is_array()) return *ordinal;
  for (const json::Value& step : steps->as_array()) {
    const bool has_ordinal = column(step, "ordinal") == std::to_string(*ordinal);
    if (has_ordinal) {
      is_ordinal = true;
      name = column(step, "name");
    } else if (column(step, "name") == text) {
      named = column(step, "ordinal");
    }
  }
  if (!named) return *ordinal;
  if (!is_ordinal) return text;
  throw Error(
      ErrorCode::invalid_argument, "step_ambiguous",
      text + " is the ordinal of the step \"" + name + "\", and the name of the step " + *named,
      "say --from-ordinal " + std::to_string(*ordinal) + " or --from-name " + text);
}

template <typename T>
void set_if(json::Object& body, const char* name, const std::optional<T>& value) {
  if (value) body.set(name, *value);
}

}  // namespace

std::string run_path(const RunRef& ref, std::string_view rest) {
  return cell_path(ref.cell_id, "/runs/" + encode_segment(ref.run_id) + std::string(rest));
}

int run(const RunList& command, Context& context) {
  Output& output = context.output;
  const std::int64_t limit = command.limit.value_or(kRunsShown);
  Listed runs = pages_of(context.api, cell_path(command.cell_id, "/runs"), "runs",
                         static_cast<std::size_t>(limit));
  if (output.format() == Format::json) {
    json::Value answer = json::object({{"runs", std::move(runs.items)}});
    if (!runs.next_cursor.empty()) answer.as_object().set("next_cursor", runs.next_cursor);
    output.json(answer);
    return 0;
  }
  std::vector<Row> rows;
  for (const json::Value& run : runs.items) {
    rows.push_back({column(run, "id"), column(run, "method"), status_of(run),
                    column(run, "steps_done"), column(run, "attempt"), column(run, "started_at"),
                    column(run, "ended_at")});
  }
  output.write(format_table({"RUN", "METHOD", "STATUS", "STEPS", "ATTEMPT", "STARTED", "ENDED"},
                            rows, output.look()));
  if (!runs.next_cursor.empty()) {
    output.note("there are older runs, too: --limit shows more than " + std::to_string(limit));
  }
  return 0;
}

int run(const RunGet& command, Context& context) {
  Output& output = context.output;
  const json::Value run =
      context.api.get(run_path(command.run, command.view.empty() ? "" : "?view=" + command.view));
  show_run(run, command.run, output);
  if (output.format() == Format::json) return 0;
  if (const std::string steps = format_steps(run, wall_now(), output.look()); !steps.empty()) {
    output.write("\n" + steps);
  }
  return 0;
}

int run(const RunRestart& command, Context& context) {
  json::Object body;
  if (command.from) body.set("from", step_of(*command.from, command.run, context));
  set_if(body, "from", command.name);
  set_if(body, "from", command.ordinal);
  if (command.from_end) body.set("from_end", true);
  if (command.upgrades) body.set("upgrade", true);
  return begin(run_path(command.run, "/restart"), body, command.key, context);
}

int run(const RunReplay& command, Context& context) {
  json::Object body;
  if (!command.against.empty()) {
    const std::string file = find_agent(command.against);
    body.set("agent", read_agent(file));
    const std::string language = agent_language_of(file);
    if (!language.empty()) body.set("agent_language", language);
  }
  const json::Value trial = context.api.post(run_path(command.run, "/replay"), body);
  const json::Value* ok = trial.find("ok");
  const bool fits = ok != nullptr && ok->is_bool() && ok->as_bool();
  if (context.output.format() == Format::json) {
    context.output.json(trial);
  } else if (fits) {
    context.output.text("it fits, up to ordinal " + column(trial, "matched") + "\n");
  } else {
    const json::Value* detail = trial.find("detail");
    throw Error(ErrorCode::conflict, "replay_differs",
                detail == nullptr ? "it differs" : difference_of(*detail),
                detail == nullptr ? "" : replay_remedy(*detail));
  }
  return fits ? 0 : 1;
}

int run(const RunStart& command, Context& context) {
  json::Object body;
  body.set("method", command.method);
  body.set("params", read_json("params", command.params, json::object({}), context));
  return begin(cell_path(command.cell_id, "/runs"), body, command.key, context);
}

int run(const RunPause& command, Context& context) {
  show_run(context.api.post(run_path(command.run, "/pause")), command.run, context.output);
  return 0;
}

int run(const RunResume& command, Context& context) {
  json::Object body;
  if (command.decision) {
    json::Object step;
    step.set("decision", *command.decision);
    if (*command.decision == "value") {
      step.set("value", read_json("value", command.value, json::Value(), context));
    }
    set_if(step, "ordinal", command.ordinal);
    set_if(step, "executed", command.executed);
    body.set("step", std::move(step));
  }
  if (command.upgrades) body.set("upgrade", true);
  return ask(command.run, "/resume", body, context);
}

int run(const RunCancel& command, Context& context) {
  json::Object body;
  set_if(body, "grace_ms", command.grace_ms);
  if (command.rollback) body.set("rollback", true);
  return ask(command.run, "/cancel", body, context);
}

int run(const RunSend& command, Context& context) {
  json::Object body;
  body.set("type", command.type);
  body.set("payload", read_json("payload", command.payload, json::Value(), context));
  set_if(body, "id", command.id);
  show(context.api.post(run_path(command.run, "/events"), body), context.output);
  return 0;
}

int run(const RunApprove& command, Context& context) {
  std::optional<std::string> step = command.step;
  // What it asks now is meant, and nothing that it asks by the time this arrives.
  if (!step) step = approval_of(context.api.get(run_path(command.run)));
  json::Object body;
  body.set("approved", command.approved);
  set_if(body, "step", step);
  set_if(body, "by", command.by);
  set_if(body, "comment", command.comment);
  const int exit_code = ask(command.run, "/approve", body, context);
  if (step && context.output.format() == Format::text) {
    context.output.note((command.approved ? "approved: " : "refused: ") + *step);
  }
  return exit_code;
}

}  // namespace cellar::cli
