#include "cell/work_walk.h"

namespace cellar::cell {

WorkWalk::WorkWalk(const sys::BeneathDir& work, const std::string& start, WorkScope scope,
                   const search::IgnoreRules::Limits& patterns)
    : start_(sys::normalize_path(start)),
      tree_(work.walk(start_)),
      left_out_(work, scope, patterns) {
  left_out_.read_rules_above(start_);
}

bool WorkWalk::step(const Each& each, const Enter& enter) {
  const auto leaves_out = [this](const std::string& folder) {
    return folder != start_ && left_out_.folder(folder);
  };
  sys::TreeWalk::Visitor visitor;
  visitor.enter = [&](const std::string& folder) {
    const bool enters = !leaves_out(folder) && (!enter || enter(folder));
    return enters ? sys::Walk::go_on : sys::Walk::skip;
  };
  visitor.opened = [this](int, const std::string& folder) { left_out_.read_rules(folder); };
  visitor.each = [&](sys::DirEntry& entry) {
    const bool is_folder = entry.stat.kind == sys::FileKind::directory;
    if (is_folder ? !leaves_out(entry.path) : !left_out_.file(entry.path)) each(entry);
  };
  return tree_.step(visitor);
}

}  // namespace cellar::cell
