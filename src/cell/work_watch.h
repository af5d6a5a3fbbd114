#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cell/left_out.h"
#include "sys/folder_watch.h"

namespace cellar::cell {

// One thing that happened to a cell's files.
struct FileChange {
  enum class Kind : std::uint8_t { created, modified, deleted, renamed };
  Kind kind = Kind::modified;
  std::string path;
  bool is_folder = false;
  std::string from;  // where it was, of one that was renamed
};

// Follows the files below one folder of a cell, whoever changes them; what is left out is not
// followed, by the rules that were there at the beginning. Not thread-safe; blocking.
class WorkWatch {
 public:
  static constexpr std::size_t kNamesMax = 100'000;
  struct Limits {
    std::size_t folders_max = sys::FolderWatch::kFoldersMax;
    std::size_t names_max = kNamesMax;
    std::uint64_t steps_max = search::IgnoreRules::kStepsMax;  // of the patterns of .gitignore
  };

  // Begins. `work` must outlive it. Throws Error `not_found` where there is no such folder, and
  // `exhausted`, reason `watch_limit`, where it holds more than the limits, or the machine lets
  // nobody watch more.
  WorkWatch(const sys::BeneathDir& work, const std::string& path, WorkScope scope, Limits limits);

  struct Changes {
    std::vector<FileChange> list;  // in their order; what happened often to a file only once
    bool has_overflown = false;    // more happened than is in the list
    bool is_gone = false;          // the folder itself: nothing follows
  };
  // What happened since. Throws as the constructor does.
  Changes take();
  // Readable once there is something to take; until has_overflown.
  int descriptor() const noexcept { return watch_->descriptor(); }

 private:
  class Telling;

  void begin();
  // Follows a folder and those in it. `told` takes what was not known.
  void follow(const std::string& folder, std::vector<FileChange>* told);
  bool is_left_out(const std::string& path, bool is_folder) const;
  void know(const std::string& path);
  void require_rules() const;

  const sys::BeneathDir& work_;
  const std::string path_;
  const WorkScope scope_;
  const Limits limits_;
  LeftOut left_out_;
  std::optional<sys::FolderWatch> watch_;
  std::set<std::string> known_;  // all that is there, so that what is below a folder is a range
};

}  // namespace cellar::cell
