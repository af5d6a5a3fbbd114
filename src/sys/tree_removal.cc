#include "sys/tree_removal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "sys/beneath_parts.h"
#include "sys/call.h"

namespace cellar::sys {
namespace {

// Folders that are open at once. What lies deeper is moved up first: it is in the way of nothing.
constexpr std::size_t kLevelsMax = 32;

class Removal {
 public:
  Removal(const std::string& path, const std::function<bool()>& go_on)
      : path_(path), go_on_(go_on) {}

  bool run() {
    if (!enter(AT_FDCWD, path_)) return true;
    while (!levels_.empty()) {
      if (!go_on_()) return false;
      if (const dirent* entry = beneath::next_entry(levels_.back().dir.get(), path_)) {
        levels_.back().removed_any = true;
        remove(entry->d_name, entry->d_type);
      } else {
        leave();
      }
    }
    return true;
  }

 private:
  struct Level {
    Dir dir;
    std::string name;
    bool removed_any = false;  // since its names were read from the first one on
  };

  int top() const { return ::dirfd(levels_.front().dir.get()); }
  int last() const { return ::dirfd(levels_.back().dir.get()); }

  // False where there is nothing of that name, any more.
  bool enter(int parent, const std::string& name) {
    const int fd = retry_on_signal([&] {
      return ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    });
    if (fd != -1) {
      levels_.push_back({.dir = beneath::read_folder(Fd(fd), path_), .name = name});
      return true;
    }
    if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT) throw_errno("open", path_);
    if (::unlinkat(parent, name.c_str(), 0) == -1 && errno != ENOENT) throw_errno("unlink", path_);
    return false;
  }

  void remove(const char* name, unsigned char type) {
    const int folder = last();
    if (type != DT_DIR && ::unlinkat(folder, name, 0) == 0) return;
    if (type == DT_DIR && ::unlinkat(folder, name, AT_REMOVEDIR) == 0) return;
    if (levels_.size() < kLevelsMax) {
      enter(folder, name);
    } else if (::renameat(folder, name, top(), random_hex(16).c_str()) == -1) {
      throw_errno("rename", path_);
    }
  }

  // A folder that is read while names go may not show all of them: those are found in another turn.
  void leave() {
    Level done = std::move(levels_.back());
    levels_.pop_back();
    const int parent = levels_.empty() ? AT_FDCWD : last();
    if (::unlinkat(parent, done.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
    if (errno != ENOTEMPTY || !done.removed_any) throw_errno("rmdir", path_);
    ::rewinddir(done.dir.get());
    done.removed_any = false;
    levels_.push_back(std::move(done));
  }

  const std::string& path_;
  const std::function<bool()>& go_on_;
  std::vector<Level> levels_;
};

}  // namespace

bool remove_tree_while(const std::string& path, const std::function<bool()>& go_on) {
  return Removal(path, go_on).run();
}

}  // namespace cellar::sys
