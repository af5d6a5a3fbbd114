#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/option_values.h"
#include "base/text.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {
namespace {

constexpr std::int64_t kListedMax = 1'000'000;
constexpr std::int64_t kTailMax = 1000;
constexpr std::int64_t kAwaitMaxS = 365 * 86'400;
constexpr std::int64_t kGraceMaxMs = 600'000;

// A value of a header: what has line ends would be several of them.
std::string refuse_control_characters(const std::string& key) {
  if (std::ranges::any_of(key, is_control)) return "must be one line of text";
  return key.empty() ? "must not be empty" : "";
}

void add_run(CLI::App& app, RunRef& into) {
  add_cell_id(app, into.cell_id);
  app.add_option("RUN", into.run_id, "The run")->required()->check(refuse_nothing, "");
}

// Makes the subcommand `name` of `app`, whose struct is a T that `fill` adds the options for.
template <typename T>
void add(CLI::App& app, Raw& raw, const std::string& name, const std::string& help,
         void (*fill)(CLI::App&, T&)) {
  auto command = std::make_shared<T>();
  CLI::App* added = app.add_subcommand(name, help);
  fill(*added, *command);
  added->callback([&raw, command] { raw.command = [command] { return Command(*command); }; });
}

void fill_list(CLI::App& app, RunList& list) {
  add_cell_id(app, list.cell_id);
  app.add_option("--limit", list.limit, "At most so many, the newest; 100")
      ->check(whole_number(1, kListedMax));
}

void add_view(CLI::App& app, std::string& view, const std::string& help) {
  app.add_option("--view", view, help)->check(one_of({"live", "committed"}));
}

void fill_get(CLI::App& app, RunGet& get) {
  add_run(app, get.run);
  add_view(app, get.view, "committed: only steps that are never executed again");
}

void add_key(CLI::App& app, std::optional<std::string>& key) {
  app.add_option("--key", key, "With the same key it is one run, however often you ask")
      ->check(refuse_control_characters, "");
}

void fill_start(CLI::App& app, RunStart& start) {
  add_cell_id(app, start.cell_id);
  app.add_option("METHOD", start.method, "The agent's method")->required();
  app.add_option("JSON", start.params, "Its params; - reads them from standard input")
      ->check(refuse_nothing, "");
  add_key(app, start.key);
}

void fill_await(CLI::App& app, RunAwait& await) {
  add_run(app, await.run);
  app.add_option("--timeout", await.timeout_s, "Wait no longer than so many seconds")
      ->check(whole_number(0, kAwaitMaxS));
  app.footer("Exit codes: 0 it is completed, 1 it failed, was cancelled, is paused or goes on.");
}

CLI::Option* add_log_options(CLI::App& app, RunLog& log) {
  app.add_flag("-f,--follow", log.follow, "Go on until the run ends, reconnecting if needed");
  add_view(app, log.view, "committed: only what can never be thrown away again");
  return app.add_option("--after", log.after, "Only events behind this number")
      ->check(whole_number(0));
}

void fill_log(CLI::App& app, RunLog& log) {
  add_run(app, log.run);
  add_log_options(app, log);
}

void fill_events(CLI::App& app, RunLog& log) {
  add_cell_id(app, log.run.cell_id);
  CLI::Option* run =
      app.add_option("RUN", log.run.run_id, "Only this run's")->check(refuse_nothing, "");
  CLI::Option* after = add_log_options(app, log);
  app.add_option("--tail", log.tail, "Begin with the newest so many")
      ->check(whole_number(0, kTailMax))
      ->excludes(after)
      ->excludes(run);
  app.add_option("--types", log.types, "Only these types, such as cell.*,run.completed")
      ->check(refuse_control_characters, "")
      ->excludes(run);
}

void fill_pause(CLI::App& app, RunPause& pause) { add_run(app, pause.run); }

void fill_resume(CLI::App& app, RunResume& resume) {
  add_run(app, resume.run);
  CLI::Option* retry = app.add_flag_callback(
      "--retry", [&resume] { resume.decision = "retry"; }, "Execute the interrupted step again");
  CLI::Option* fail = app.add_flag_callback(
      "--fail", [&resume] { resume.decision = "fail"; }, "Throw StepInterruptedError in the agent");
  CLI::Option* value = app.add_option_function<std::string>(
      "--value",
      [&resume](const std::string& text) {
        resume.decision = "value";
        resume.value = text;
      },
      "JSON that the step is to have given; - reads it from standard input");
  value->type_name("JSON")->check(refuse_nothing, "");
  retry->excludes(fail)->excludes(value);
  fail->excludes(value);
  app.add_option("--step", resume.ordinal, "That is decided only where it is this step, by ordinal")
      ->check(whole_number(1, UINT32_MAX));
  app.add_option("--executed", resume.executed, "Only where it was executed so often")
      ->check(whole_number(1, UINT32_MAX));
  app.parse_complete_callback([&resume] {
    if (resume.decision || (!resume.ordinal && !resume.executed)) return;
    throw CLI::ValidationError("--step, --executed", "go with --retry, --fail or --value only");
  });
  app.add_flag("--upgrade", resume.upgrades,
               "On the cell's agent of today, if `runs replay` passes")
      ->excludes(retry)
      ->excludes(fail)
      ->excludes(value);
}

void fill_restart(CLI::App& app, RunRestart& restart) {
  add_run(app, restart.run);
  CLI::Option* from =
      app.add_option("--from", restart.from,
                     "With all that was recorded before this step began: its name, or its ordinal");
  from->type_name("STEP")->check(refuse_nothing, "");
  CLI::Option* name =
      app.add_option("--from-name", restart.name, "The same, where the name is a number, too");
  name->check(refuse_nothing, "")->excludes(from);
  app.add_flag("--upgrade", restart.upgrades,
               "On the cell's agent of today; from a step, if its trial passes");
  CLI::Option* ordinal = app.add_option("--from-ordinal", restart.ordinal,
                                        "The same, where a name is that number, too");
  ordinal->check(whole_number(1, UINT32_MAX))->excludes(from)->excludes(name);
  app.add_flag("--from-end", restart.from_end, "With all that was recorded")
      ->excludes(from)
      ->excludes(name)
      ->excludes(ordinal);
  add_key(app, restart.key);
}

void fill_replay(CLI::App& app, RunReplay& replay) {
  add_run(app, replay.run);
  app.add_option("--against", replay.against,
                 "The file of an agent, or its folder; else the cell's agent of today")
      ->type_name("PATH")
      ->check(CLI::ExistingPath);
  app.footer("Executes no step and no command. Exit codes: 0 it fits, 1 it does not.");
}

void fill_cancel(CLI::App& app, RunCancel& cancel) {
  add_run(app, cancel.run);
  app.add_option("--grace", cancel.grace_ms, "Milliseconds for the agent to clean up (1000)")
      ->check(whole_number(0, kGraceMaxMs));
  app.add_flag("--rollback", cancel.rollback, "Undo what its steps did, by their rollbacks");
}

void fill_event(CLI::App& app, RunSend& event) {
  add_run(app, event.run);
  app.add_option("TYPE", event.type, "The type that it is waited for by")
      ->required()
      ->check(refuse_nothing, "");
  app.add_option("JSON", event.payload, "Its payload; - reads it from standard input")
      ->check(refuse_nothing, "");
  app.add_option("--id", event.id, "With the same id it is taken once, however often you send it")
      ->check(refuse_nothing, "");
}

void fill_approve(CLI::App& app, RunApprove& approve) {
  add_run(app, approve.run);
  app.add_flag_callback("--refuse", [&approve] { approve.approved = false; }, "Say no");
  app.add_option("--step", approve.step, "Which one, where it waits for several");
  app.add_option("--by", approve.by, "Who says so");
  app.add_option("--comment", approve.comment, "Why");
}

}  // namespace

void add_run_commands(CLI::App& app, Raw& raw) {
  CLI::App* runs = app.add_subcommand("runs", "The runs of a cell's agent");
  runs->require_subcommand(1);
  runs->fallthrough();
  add<RunList>(*runs, raw, "ls", "List the runs of a cell, newest first", fill_list);
  add<RunGet>(*runs, raw, "get", "Show a run: how it stands, why, and its steps", fill_get);
  add<RunStart>(*runs, raw, "start", "Begin a run, and print its id", fill_start);
  add<RunAwait>(*runs, raw, "await", "Wait for a run, and print its result", fill_await);
  add<RunLog>(*runs, raw, "log", "Show the events of a run", fill_log);
  add<RunPause>(*runs, raw, "pause", "Take a run out of the agent, with its commands", fill_pause);
  add<RunResume>(*runs, raw, "resume", "Let a paused run go on", fill_resume);
  add<RunCancel>(*runs, raw, "cancel", "Cancel a run, with its processes", fill_cancel);
  add<RunRestart>(*runs, raw, "restart", "Begin a run again, and print the new one's id",
                  fill_restart);
  add<RunReplay>(*runs, raw, "replay", "Try a run with another version of the agent", fill_replay);
  add<RunSend>(*runs, raw, "event", "Send a run an event that it waits for", fill_event);
  add<RunApprove>(*runs, raw, "approve", "Approve what a run asks for, or refuse it", fill_approve);

  add<RunLog>(app, raw, "events", "Show the events of a cell, or of one run of it", fill_events);
  add<RunCancel>(app, raw, "cancel", "The same as runs cancel", fill_cancel);
}

}  // namespace cellar::cli
