#pragma once

#include <functional>
#include <string>

#include "cell/left_out.h"
#include "sys/tree_walk.h"

namespace cellar::cell {

// A walk through a cell's files below one folder, without what is left out; the folder where it
// starts is never left out. Not thread-safe; blocking.
class WorkWalk {
 public:
  using Each = std::function<void(sys::DirEntry& entry)>;
  // Whether to go into the folder.
  using Enter = std::function<bool(const std::string& folder)>;

  // Throws Error as BeneathDir::walk() does. `work` must outlive it.
  WorkWalk(const sys::BeneathDir& work, const std::string& start, WorkScope scope);

  // One folder more: `each` is called for what is in it. False once nothing is left.
  bool step(const Each& each, const Enter& enter = {});
  // There is more than a walk looks at.
  bool is_cut() const noexcept { return tree_.is_cut() || left_out_.exhausted(); }

 private:
  const std::string start_;
  sys::TreeWalk tree_;
  LeftOut left_out_;
};

}  // namespace cellar::cell
