#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sys/beneath.h"
#include "sys/dir.h"

namespace cellar::sys {

// A walk through the tree below an open folder, one folder at a time, and of a large one a part, so
// that its caller may rest between them. Without recursion, without holding more than one other
// folder open and without
// "..": each folder is resolved again from the start. What vanishes meanwhile is left out, and so
// is what lies deeper than BeneathDir::kPathBytesMax. Blocking; not thread-safe.
class TreeWalk {
 public:
  struct Visitor {
    std::function<Walk(const std::string& folder)> enter;  // On `skip` the folder is left out.
    // The folder is open, its names come next. May be null.
    std::function<void(int fd, const std::string& folder)> opened;
    std::function<void(DirEntry& entry)> each;
  };

  // Of all that a walk comes to, the files alone.
  static Visitor of_files(BeneathDir::Visitor files);

  // `prefix` is the path of `start`: with it the paths begin. Stops after `names_max` names.
  TreeWalk(Fd start, std::string prefix, std::size_t names_max);

  // How many names one step looks at.
  static constexpr std::size_t kNamesPerStep = 512;

  // Goes through the next folder, or goes on with it: `each` is called for what is in it, sorted by
  // name. Folders come after their parents. False once nothing is left. Exceptions of the callbacks
  // reach the caller.
  bool step(const Visitor& visitor);
  // Nothing is left.
  bool is_over() const noexcept { return !open_ && (pending_.empty() || is_cut_); }
  // Folders that are known and were not gone through yet.
  std::size_t folders_left() const noexcept { return pending_.size() + (open_ ? 1 : 0); }
  // It ended at `names_max`.
  bool is_cut() const noexcept { return is_cut_; }

 private:
  // The folder that is being gone through.
  struct Open {
    std::string path;
    Dir dir;
    std::vector<std::string> names;
    std::size_t next = 0;         // of them
    std::size_t first_child = 0;  // in pending_
    bool has_more = false;        // than `names`
  };

  std::string full_path(const std::string& path) const;
  void open(Fd fd, std::string folder, const Visitor& visitor);
  void read(const std::string& name, const Visitor& visitor);
  void read_on(const Visitor& visitor);

  Fd start_;
  std::string prefix_;
  std::size_t names_left_;
  std::vector<std::string> pending_ = {"."};  // the next one last
  std::optional<Open> open_;
  bool is_cut_ = false;
};

}  // namespace cellar::sys
