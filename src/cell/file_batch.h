#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "cell/work_watch.h"
#include "json/value.h"

namespace cellar::cell {

// What happened to a cell's files, gathered for one event: so many changes by name, in their order,
// and of all others the folders that they are below. Pure.
class FileBatch {
 public:
  static constexpr std::size_t kNamedMax = 100;
  static constexpr std::size_t kNamedBytesMax = 16 << 10;  // of their paths
  static constexpr std::size_t kFoldersMax = 16;           // the deepest become their parents
  static constexpr std::size_t kFolderBytesMax = 16 << 10;

  // What is said already is not said again; a file that came and went is not said at all.
  void add(const FileChange& change);
  // Something happened below a folder.
  void add_below(const std::string& folder);
  // What happened before is not known: it replaces all that was added, and what is added later.
  void reset(const std::string& reason);
  // The same, and nothing will be known from now on.
  void lose(const Error& why);

  bool empty() const noexcept { return !is_reset() && changes_.empty() && folders_.empty(); }
  bool is_reset() const noexcept { return !reset_reason_.empty(); }

  // {changes: [{kind, path, type, from?}], more?: true, folders?: [path]}, or
  // {changes: [], reset: true, reason, watching?: false, message?}.
  json::Value data() const;

 private:
  void put_folder(const std::string& folder);
  std::string take_deepest();

  std::vector<FileChange> changes_;
  std::size_t path_bytes_ = 0;         // of them
  std::map<std::string, bool> fresh_;  // said to be new (true), or other, and not gone since
  std::set<std::string> folders_;      // none below another
  std::string reset_reason_;
  std::string lost_;  // why nothing is known from now on
};

}  // namespace cellar::cell
