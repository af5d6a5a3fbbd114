#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cellar::cli {

// What `exec`, `start` and `sh` run, and where.
struct ProgramToRun {
  std::string cell_id;
  // One word: a line for the shell. More: a program and its words. None: a login shell.
  std::vector<std::string> command;
  std::string cwd;
  std::map<std::string, std::string> env;
  std::optional<double> timeout_s;
};

// Programs in the background of a cell: one struct for each subcommand.
struct ProcessRef {
  std::string cell_id;
  std::string process_id;
};
struct ProcessStart : ProgramToRun {
  bool takes_input = false;
  bool has_terminal = false;
};
struct ProcessList {
  std::string cell_id;
};
struct ProcessLog {
  ProcessRef process;
  std::optional<std::int64_t> after;  // bytes that it wrote before
  bool follow = false;
};
struct ProcessInput {
  ProcessRef process;
};
struct ProcessKill {
  ProcessRef process;
  std::string signal = "TERM";
};
// This terminal becomes that of the process.
struct Attach {
  ProcessRef process;
};
// The same for one that is started for it, and ends with it.
struct Shell {
  ProcessStart start;
};

}  // namespace cellar::cli
