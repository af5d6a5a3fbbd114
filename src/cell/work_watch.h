#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
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

std::string_view name_of(FileChange::Kind kind) noexcept;  // "created", …

// Takes the paths that are below a folder out of a set, and gives them.
std::vector<std::string> take_below(std::set<std::string>& paths, const std::string& folder);

// Whether it is told that something happened directly in a folder that is left out, without a word
// of what: an installation of packages shows in the list of those that are there.
enum class LeftOutFolders : std::uint8_t { untold, noted };

// Follows the files below one folder of a cell, whoever changes them; what is left out is not
// followed, by the rules that were there at the beginning. Not thread-safe; blocking.
class WorkWatch {
 public:
  static constexpr std::size_t kNamesMax = 100'000;
  struct Limits {
    std::size_t folders_max = sys::FolderWatch::kFoldersMax;
    std::size_t names_max = kNamesMax;
    search::IgnoreRules::Limits patterns;  // of .gitignore
  };

  // Begins. `work` must outlive it. Throws Error `not_found` where there is no such folder, and
  // `exhausted`, reason `watch_limit`, where it holds more than the limits, or the machine lets
  // nobody watch more.
  WorkWatch(const sys::BeneathDir& work, const std::string& path, WorkScope scope, Limits limits,
            LeftOutFolders left_out = LeftOutFolders::untold);

  struct Changes {
    std::vector<FileChange> list;  // in their order; what happened often to a file only once
    std::set<std::string> noted;   // left-out folders: LeftOutFolders::noted
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
  // Whether it is a left-out folder that is noted, from now on.
  bool note(const std::string& folder);
  void require_rules() const;

  const sys::BeneathDir& work_;
  const std::string path_;
  const WorkScope scope_;
  const Limits limits_;
  const LeftOutFolders left_out_folders_;
  LeftOut left_out_;
  std::optional<sys::FolderWatch> watch_;
  std::set<std::string> known_;  // all that is there, so that what is below a folder is a range
  std::set<std::string> noted_;  // left-out folders that are watched, and nothing below them
};

}  // namespace cellar::cell
