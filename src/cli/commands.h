#pragma once

#include "cli/api.h"
#include "cli/command_line.h"
#include "cli/output.h"
#include "doctor/judge.h"
#include "sys/terminal.h"

namespace cellar::cli {

// What a command works with.
struct Context {
  Api& api;
  Output& output;
  int in;  // standard input
  // Where `api` goes, for one who needs two connections.
  const std::string& url;
  const std::string& api_key;
};

// One file each: what a subcommand does, and its exit code. All throw Error.
int run(const Create& command, Context& context);  // create.cc
int run(const List& command, Context& context);    // ls.cc
int run(const Get& command, Context& context);     // get.cc
int run(const Remove& command, Context& context);  // rm.cc
int run(const Pause& command, Context& context);   // pause.cc
int run(const Hibernate& command, Context& context);
int run(const KeepAlive& command, Context& context);
int run(const WakeAt& command, Context& context);
int run(const Preview& command, Context& context);    // preview.cc
int run(const Network& command, Context& context);    // network.cc
int run(const CellUsage& command, Context& context);  // llm.cc
int run(const Llm& command, Context& context);
int run(const Secrets& command, Context& context);       // secrets.cc
int run(const Resume& command, Context& context);        // resume.cc
int run(const Exec& command, Context& context);          // exec.cc
int run(const Copy& command, Context& context);          // cp.cc
int run(const AgentRequest& command, Context& context);  // request.cc
int run(const Search& command, Context& context);        // search.cc
int run(const ProcessStart& command, Context& context);  // processes.cc
int run(const ProcessList& command, Context& context);
int run(const ProcessLog& command, Context& context);
int run(const ProcessInput& command, Context& context);
int run(const ProcessKill& command, Context& context);
int run(const Attach& command, Context& context);  // shell.cc
int run(const Shell& command, Context& context);
int run(const FileList& command, Context& context);  // files.cc
int run(const FileCat& command, Context& context);
int run(const FileStat& command, Context& context);
int run(const FileWrite& command, Context& context);
int run(const FileMove& command, Context& context);
int run(const FileMakeFolder& command, Context& context);
int run(const FileChmod& command, Context& context);
int run(const FileRemove& command, Context& context);
int run(const FileGlob& command, Context& context);
int run(const FileGrep& command, Context& context);
int run(const FileWatch& command, Context& context);
int run(const CheckpointCreate& command, Context& context);  // checkpoints.cc
int run(const CheckpointList& command, Context& context);
int run(const CheckpointRemove& command, Context& context);
int run(const Diff& command, Context& context);
int run(const RunList& command, Context& context);  // runs.cc
int run(const RunGet& command, Context& context);
int run(const RunStart& command, Context& context);
int run(const RunPause& command, Context& context);
int run(const RunResume& command, Context& context);
int run(const RunCancel& command, Context& context);
int run(const RunSend& command, Context& context);
int run(const RunApprove& command, Context& context);
int run(const RunRestart& command, Context& context);
int run(const RunReplay& command, Context& context);
int run(const RunAwait& command, Context& context);    // run_await.cc
int run(const RunLog& command, Context& context);      // run_log.cc
int run(const ImageBuild& command, Context& context);  // image.cc
int run(const ImageImport& command, Context& context);
int run(const ImageList& command, Context& context);
int run(const ImageRemove& command, Context& context);
int run(const Mcp& command, Context& context);   // mcp.cc
int run(const Init& command, Context& context);  // project.cc
int run(const Deploy& command, Context& context);
int run(const Dev& command, Context& context);
int run(const CompletionScript& command, Context& context);  // completion.cc
int run(const Complete& command, Context& context);
int run(const KeyCreate& command, Context& context);  // keys.cc
int run(const KeyList& command, Context& context);
int run(const KeyRemove& command, Context& context);
int run(const Reload& command, Context& context);
int run(const AuditVerify& command, Context& context);  // audit.cc
int run(const Doctor& command, Context& context);       // doctor.cc

// An object as -o json has it, or a member a line. In get.cc.
void show(const json::Value& object, Output& output);

// What an agent gave: a string without quotes, unless -o json asks for them. In request.cc.
void show_value(const json::Value& value, Output& output);

// An argument that is JSON: `text`, what standard input holds where that is "-", `otherwise` where
// there is none. Throws Error `invalid_argument`, reason `usage`, naming `what`. In request.cc.
json::Value read_json(std::string_view what, const std::string& text, json::Value otherwise,
                      Context& context);

// The path of a process, and what follows: "/log". In processes.cc.
std::string process_path(const ProcessRef& ref, std::string_view rest = {});
// Starts it, and gives it as the daemon has it. In processes.cc.
json::Value start_process(const ProcessStart& start, std::optional<sys::TerminalSize> terminal,
                          Api& api);
// What a process reads: `path` is that of its /stdin, with the query. In processes.cc.
void send_input(const std::string& path, std::string bytes, Api& api);
json::Value to_json(sys::TerminalSize size);  // in processes.cc
// What the daemon is asked to run: {cmd?, cwd?, timeout_ms?, env?}. In exec.cc.
json::Object request_of(const ProgramToRun& program);
// The bytes of a stdout or stderr event. In exec.cc.
std::string bytes_of(const json::Value& data);
// Says what a command itself could not, and gives its exit code. In exec.cc.
int finish(const json::Value& result, Output& output);

// What a path lists as `name`, at most `limit`, over as many pages as it takes; `next_cursor` is
// empty where that is all. In ls.cc.
struct Listed {
  json::Array items;
  std::string next_cursor;
};
Listed pages_of(Api& api, const std::string& path, std::string_view name, std::size_t limit);
// All cells of the key, as the daemon has them. In ls.cc.
json::Array all_cells(Api& api);

// The path of a run, and what follows: "/events". In runs.cc.
std::string run_path(const RunRef& ref, std::string_view rest = {});

// The findings as a table, and what they amount to. In doctor.cc.
std::string format_findings(const doctor::Findings& findings, Look look);
std::string format_judgement(const doctor::Judgement& judgement, doctor::Level level, Look look);

// One result of search; `mode` is that of the command. In search.cc.
std::string format_search_result(const json::Value& result, std::string_view mode, Look look);

// The member's text for a table: empty where it is absent or null. In ls.cc.
std::string column(const json::Value& object, std::string_view name);
// Of the version of the agent that a cell has, or a run is on; empty for none. In ls.cc.
std::string short_digest(const json::Value& object);

}  // namespace cellar::cli
