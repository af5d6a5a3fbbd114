#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cellar::cli {

// `cellar files …`: one struct for each subcommand, as in command_line.h. Paths begin at the cell's
// /work, with or without a slash.
struct FileRef {
  std::string cell_id;
  std::string path;
};
struct FileList {
  FileRef at;
  bool recursive = false;
};
struct FileCat {
  FileRef at;
};
struct FileStat {
  FileRef at;
};
// Standard input becomes the file.
struct FileWrite {
  FileRef at;
  std::string mode;
  bool append = false;
  bool create = false;   // only where nothing is there
  std::string if_match;  // only where it is this one
};
struct FileMove {
  FileRef from;
  std::string to;
  bool overwrite = false;
};
struct FileMakeFolder {
  FileRef at;
  std::string mode;
};
struct FileChmod {
  FileRef at;
  std::string mode;
};
struct FileRemove {
  FileRef at;
  std::string if_match;
};
struct FileGlob {
  FileRef at;
  std::string pattern;
  std::optional<std::int64_t> limit;
  bool all = false;
};
struct FileGrep {
  FileRef at;
  std::string pattern;
  std::vector<std::string> paths;
  std::optional<std::int64_t> context;
  std::optional<std::int64_t> limit;
  bool literal = false;
  bool ignore_case = false;
  bool all = false;
};
struct FileWatch {
  FileRef at;
  bool all = false;
};

}  // namespace cellar::cli
