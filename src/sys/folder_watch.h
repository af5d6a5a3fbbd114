#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sys/fd.h"

struct inotify_event;

namespace cellar::sys {

// Follows what happens to the names in folders of one tree (inotify), whoever does it, in whatever
// mount namespace. The kernel notes a change within the call that makes it: what was done before
// take() is called is in its answer. Nothing is reported of
//   - a store through a mapping, before its last mapping is gone (then it is as the end of a
//   write);
//   - a write through a hard link in a folder that is not watched.
//
// Blocking only as long as the kernel copies. Not thread-safe.
class FolderWatch {
 public:
  // The kernel keeps about 1 KiB for each.
  static constexpr std::size_t kFoldersMax = 10'000;
  // What one take() reads before it gives up on one who changes files as fast; the kernel keeps
  // fewer (fs.inotify.max_queued_events).
  static constexpr std::size_t kChangesMax = 65'536;

  // nullopt where the user may have no more of them (fs.inotify.max_user_instances). Throws Error.
  static std::optional<FolderWatch> make(std::size_t folders_max = kFoldersMax);

  // Follows the open folder, which is `path` in the answers, from now on. False where that cannot
  // be, above all for `folders_max` and the user's fs.inotify.max_user_watches.
  bool add(int folder, const std::string& path);

  struct Changes {
    std::set<std::string> files;  // made, written, moved or gone; not all are regular files
    std::set<std::string> new_folders;
    std::set<std::string> old_folders;  // gone, moved away, or with other rights
    bool complete = true;               // or else more happened than the kernel keeps
  };
  // What happened since the last call, or since the folders were added. Throws Error.
  Changes take(std::size_t changes_max = kChangesMax);

  // One of them, in the order in which they happened.
  struct Change {
    // `gone`: the first folder that was added was moved or removed itself.
    enum class Kind : std::uint8_t { created, modified, removed, moved_from, moved_to, gone };
    Kind kind = Kind::modified;
    std::string path;
    bool is_folder = false;
    std::uint32_t cookie = 0;  // the same of both sides of one move
  };
  using OnChange = std::function<void(const Change& change)>;
  // The same one by one. False where more happened than the kernel keeps.
  bool take_each(const OnChange& on_change, std::size_t changes_max = kChangesMax);

  // A folder was moved: the paths below it are others from now on.
  void rename_folder(const std::string& from, const std::string& to);
  // What is below a folder, and the folder, is not followed any more.
  void forget_folder(const std::string& path);

  std::size_t folder_count() const noexcept { return folders_.size(); }
  // Readable once there is something to take.
  int descriptor() const noexcept { return fd_.get(); }

 private:
  FolderWatch(Fd fd, std::size_t folders_max) : fd_(std::move(fd)), folders_max_(folders_max) {}
  void set_path(int watch, std::string path);
  void forget(int watch);
  // The watches of a folder and those below it.
  std::vector<int> watches_below(const std::string& folder) const;
  // Whether the kernel had room for all.
  bool note(const inotify_event& event, const OnChange& on_change);

  Fd fd_;
  std::size_t folders_max_;
  std::optional<int> first_;                      // watch of the first folder
  std::unordered_map<int, std::string> folders_;  // watch → path with a final '/'; "" for "."
  // The same by path, so that what is below a folder is a range. A path may have two of them, as
  // long as a move is not told.
  std::set<std::pair<std::string, int>> by_path_;
};

}  // namespace cellar::sys
