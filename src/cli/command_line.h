#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/checkpoint_commands.h"
#include "cli/completion.h"
#include "cli/file_commands.h"
#include "cli/key_commands.h"
#include "cli/output.h"
#include "cli/process_commands.h"
#include "cli/project_commands.h"
#include "cli/run_commands.h"

namespace cellar::cli {

// One struct for each subcommand: what the command line asked for.
struct Create {
  std::string customer_id;
  std::string agent_file;
  std::string tier;
  std::string image;
  std::string runtime;
  bool permanent = false;
  std::map<std::string, std::string> secrets;
  std::map<std::string, std::vector<std::string>> secret_hosts;  // of some of them
  std::vector<std::string> allow;
  std::optional<std::int64_t> idle_timeout_s;
  std::optional<std::int64_t> max_awake_s;
  std::optional<std::int64_t> run_retention_s;
  std::optional<bool> file_events;
};
struct List {};
struct Get {
  std::string cell_id;
};
struct Remove {
  std::string cell_id;
};
struct Pause {
  std::string cell_id;
};
struct Hibernate {
  std::string cell_id;
};
struct KeepAlive {
  std::string cell_id;
  std::int64_t seconds = 0;
};
struct WakeAt {
  std::string cell_id;
  std::string at;  // a time of RFC 3339, or "never"
};
// Where the cell's preview is.
struct Preview {
  std::string cell_id;
  std::optional<std::int64_t> port;
  bool link = false;  // a signed one, for somebody without a key
  std::optional<std::int64_t> expires_in_s;
  std::string access;  // "private", "public"; empty: as it is
  std::string daemon;  // its address, which a preview without a name is below
};
// What a cell has used.
struct CellUsage {
  std::string cell_id;
};

// What it may ask of models.
struct Llm {
  std::string cell_id;
  std::string action = "show";  // on, off
  std::optional<std::int64_t> budget;
  std::string per = "cell";
};

struct Network {
  std::string cell_id;
  std::string action = "show";     // show, allow, deny, set
  std::vector<std::string> words;  // entries of allow and deny; a file, or a word, of set
  std::string domain;              // "agent", "shell": its own policy; empty: the common one
};
struct Secrets {
  std::string cell_id;
  std::string action = "show";  // show, set, rm
  std::string name;
  std::string value;
  std::vector<std::string> hosts;  // where it is put in; none: a variable of the agent's
  std::string header;
  bool shell = false;
};
struct Resume {
  std::string cell_id;
};
struct Exec : ProgramToRun {
  bool without_stdin = false;
};
struct Copy {
  std::string source;  // Either a local path or ID:PATH, as is the destination.
  std::string destination;
  bool recursive = false;  // said by who is used to it: a folder is copied with all in it anyway
};
struct AgentRequest {
  std::string cell_id;
  std::string method;
  std::string params;  // JSON text; "-" reads it from standard input; empty: none
};
struct Search {
  std::string cell_id;
  std::string query;
  std::optional<std::int64_t> limit;
  std::string mode;  // Empty: the daemon's choice.
  std::vector<std::string> paths;
  std::vector<std::string> languages;
  std::optional<std::int64_t> chunks_per_file;
  bool symbols = false;  // QUERY is the name of a definition.
};
// The images of the daemon on this machine: these work on its state folder, without the daemon.
struct ImageBuild {
  std::string state;
  std::string name = "default";
  std::string suite = "bookworm";
  std::string mirror;
  std::vector<std::string> packages;
};
struct ImageImport {
  std::string state;
  std::string name;
  std::string path;
};
struct ImageList {
  std::string state;
};
struct ImageRemove {
  std::string state;
  std::string name;
};
// The Model Context Protocol at standard input and output.
struct Mcp {
  std::string cell_id;  // the only one that there is; empty: all
};
// What this host can do for cells; without the daemon, but with its settings.
struct Doctor {
  std::string state;
  std::string seal_key_file;
  std::string level = "full";
};
using Command =
    std::variant<Create, List, Get, Remove, Pause, Hibernate, KeepAlive, WakeAt, Preview, CellUsage,
                 Llm, Network, Resume, Exec, Copy, AgentRequest, Search, ProcessStart, ProcessList,
                 ProcessLog, ProcessInput, ProcessKill, Attach, Shell, RunList, RunGet, RunStart,
                 RunAwait, RunLog, RunPause, RunResume, RunCancel, RunSend, RunApprove, RunRestart,
                 RunReplay, ImageBuild, ImageImport, ImageList, ImageRemove, Mcp, Init, Deploy, Dev,
                 CompletionScript, Complete, Doctor, FileList, FileCat, FileStat, FileWrite,
                 FileMove, FileMakeFolder, FileChmod, FileRemove, FileGlob, FileGrep, FileWatch,
                 Secrets, KeyCreate, KeyList, KeyRemove, AuditVerify, CheckpointCreate,
                 CheckpointList, CheckpointRemove, Diff, Reload>;

struct CommandLine {
  std::string url;
  std::string api_key;
  Format format = Format::text;
  Command command;
};

// What to print instead of doing something, and the exit code: help (0), or a mistake (2).
struct Usage {
  std::string text;
  int exit_code = 0;
};

// Seconds of "90", "90s", "15m", "1h" or "7d"; nullopt for anything else. In preview.cc.
std::optional<std::int64_t> parse_seconds(std::string_view text);

// Reads the arguments, with CELLAR_URL and CELLAR_API_KEY as defaults.
std::variant<CommandLine, Usage> read_command_line(int argc, const char* const* argv);

}  // namespace cellar::cli
