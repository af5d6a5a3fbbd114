#pragma once

#include <optional>
#include <string>

namespace cellar::cli {

// `cellar checkpoints …` and `cellar diff`.
struct CheckpointCreate {
  std::string cell_id;
  std::string name;
  std::string message;
};
struct CheckpointList {
  std::string cell_id;
};
struct CheckpointRemove {
  std::string cell_id;
  std::string checkpoint;
};
struct Diff {
  std::string cell_id;
  std::string from;  // empty: the newest
  std::string to;    // empty: now
  std::string path;
  bool names = false;
  bool all = false;
};

}  // namespace cellar::cli
