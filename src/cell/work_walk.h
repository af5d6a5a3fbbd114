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
  WorkWalk(const sys::BeneathDir& work, const std::string& start, WorkScope scope,
           const search::IgnoreRules::Limits& patterns = search::IgnoreRules::Limits());

  // One folder more, or a part of a large one: `each` is called for what is in it. False once
  // nothing is left.
  bool step(const Each& each, const Enter& enter = {});
  // The patterns of .gitignore were too slow: what came after was left out unasked.
  bool has_slow_patterns() const noexcept { return left_out_.exhausted(); }
  // There is more than a walk looks at.
  bool is_cut() const noexcept { return tree_.is_cut() || has_slow_patterns(); }

 private:
  const std::string start_;
  sys::TreeWalk tree_;
  LeftOut left_out_;
};

}  // namespace cellar::cell
