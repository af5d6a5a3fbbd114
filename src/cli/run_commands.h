#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace cellar::cli {

// `cellar runs …`: what is asked of the runs of a cell, one struct for each subcommand.

struct RunRef {
  std::string cell_id;
  std::string run_id;
};

struct RunList {
  std::string cell_id;
  std::optional<std::int64_t> limit;
};
struct RunGet {
  RunRef run;
  std::string view;  // empty: what the daemon shows by itself
};
struct RunStart {
  std::string cell_id;
  std::string method;
  std::string params;  // JSON text; "-" reads it from standard input; empty: none
  std::optional<std::string> key;
};
struct RunAwait {
  RunRef run;
  std::optional<std::int64_t> timeout_s;  // none: as long as it takes
};
struct RunLog {
  RunRef run;  // an empty run_id: all events of the cell
  std::optional<std::int64_t> after;
  std::optional<std::int64_t> tail;  // of a cell
  std::string types;                 // the same; empty: all
  std::string view;                  // empty: what the daemon shows by itself
  bool follow = false;
};
struct RunPause {
  RunRef run;
};
struct RunResume {
  RunRef run;
  std::optional<std::string>
      decision;       // about the step that may have been done: retry, fail, value
  std::string value;  // JSON text of a decision "value"
  std::optional<std::uint32_t> ordinal;   // of that step, and which execution of it is meant:
  std::optional<std::uint32_t> executed;  // any other is left as it is
  bool upgrades = false;                  // to the cell's agent of today
};
struct RunRestart {
  RunRef run;
  std::optional<std::string> from;  // the name of a step, or its ordinal; as the two below
  std::optional<std::string> name;
  std::optional<std::uint32_t> ordinal;
  bool from_end = false;
  bool upgrades = false;
  std::optional<std::string> key;
};
struct RunReplay {
  RunRef run;
  std::string against;  // an agent's file or folder; empty: the cell's agent of today
};
struct RunCancel {
  RunRef run;
  std::optional<std::int64_t> grace_ms;
  bool rollback = false;  // what its steps did is undone
};
struct RunSend {
  RunRef run;
  std::string type;
  std::string payload;  // as RunStart::params
  std::optional<std::string> id;
};
struct RunApprove {
  RunRef run;
  bool approved = true;
  std::optional<std::string> step;
  std::optional<std::string> by;
  std::optional<std::string> comment;
};

}  // namespace cellar::cli
