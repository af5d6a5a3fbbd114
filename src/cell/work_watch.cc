#include "cell/work_watch.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "sys/node.h"
#include "sys/tree_walk.h"

namespace cellar::cell {
namespace {

using Told = sys::FolderWatch::Change;

[[noreturn]] void throw_watch_limit(const std::string& what) {
  throw Error(ErrorCode::exhausted, "watch_limit", what,
              "name what need not be followed in a .gitignore, or watch a smaller folder; `cellar "
              "doctor` tells the machine's limits (inotify)");
}

}  // namespace

std::vector<std::string> take_below(std::set<std::string>& paths, const std::string& folder) {
  // '0' is the character behind '/'.
  const auto first = paths.lower_bound(folder + "/");
  const auto last = paths.lower_bound(folder + "0");
  std::vector<std::string> taken(first, last);
  paths.erase(first, last);
  return taken;
}

std::string_view name_of(FileChange::Kind kind) noexcept {
  switch (kind) {
    case FileChange::Kind::created:
      return "created";
    case FileChange::Kind::modified:
      return "modified";
    case FileChange::Kind::deleted:
      return "deleted";
    case FileChange::Kind::renamed:
      return "renamed";
  }
  return "modified";
}

// Makes of what the kernel tells what happened.
class WorkWatch::Telling {
 public:
  Telling(WorkWatch& watch, Changes& changes) : watch_(watch), changes_(changes) {}

  void take(const Told& told) {
    const std::string folder = sys::parent_of(told.path);
    if (watch_.noted_.contains(folder) && told.kind != Told::Kind::gone) {
      changes_.noted.insert(folder);
      return;
    }
    switch (told.kind) {
      case Told::Kind::gone:
        changes_.is_gone = true;
        return;
      case Told::Kind::created:
      case Told::Kind::moved_to:
        return arrive(told);
      case Told::Kind::modified:
        if (watch_.known_.contains(told.path)) {
          tell_once(FileChange::Kind::modified, told.path, told.is_folder);
        }
        return;
      case Told::Kind::removed:
        return leave(told.path, told.is_folder);
      case Told::Kind::moved_from:
        moved_[told.cookie] = told;
        return;
    }
  }

  // What was moved, and has not come in anywhere, is gone.
  void finish() {
    for (const auto& [cookie, told] : moved_) leave(told.path, told.is_folder);
    moved_.clear();
  }

 private:
  void tell(FileChange change) { changes_.list.push_back(std::move(change)); }

  // Of a file that is written piece by piece, the first piece says it all.
  void tell_once(FileChange::Kind kind, const std::string& path, bool is_folder) {
    if (!fresh_.insert(path).second) return;
    tell({.kind = kind, .path = path, .is_folder = is_folder, .from = {}});
  }

  void arrive(const Told& told) {
    std::optional<Told> from;
    if (told.kind == Told::Kind::moved_to) {
      if (auto node = moved_.extract(told.cookie)) from = std::move(node.mapped());
    }
    const bool was_known = from && watch_.known_.contains(from->path);
    if (from && !was_known) leave(from->path, told.is_folder);  // A left-out one was moved.
    if (watch_.is_left_out(told.path, told.is_folder)) {
      if (was_known) leave(from->path, told.is_folder);
      if (told.is_folder && watch_.note(told.path)) {
        changes_.noted.insert(told.path);
        watch_.follow(told.path, &changes_.list);
      }
      return;
    }
    if (was_known) return move(from->path, told.path, told.is_folder);
    const bool replaces = watch_.known_.contains(told.path);
    if (!replaces) watch_.know(told.path);
    tell_once(replaces ? FileChange::Kind::modified : FileChange::Kind::created, told.path,
              told.is_folder);
    if (told.is_folder) watch_.follow(told.path, &changes_.list);
  }

  void move(const std::string& from, const std::string& to, bool is_folder) {
    watch_.known_.erase(from);
    watch_.know(to);
    fresh_.erase(from);
    if (is_folder) {
      for (std::set<std::string>* paths : {&watch_.known_, &watch_.noted_}) {
        for (const std::string& path : take_below(*paths, from)) {
          paths->insert(to + path.substr(from.size()));
        }
      }
      watch_.watch_->rename_folder(from, to);
    }
    tell({.kind = FileChange::Kind::renamed, .path = to, .is_folder = is_folder, .from = from});
  }

  void leave(const std::string& path, bool is_folder) {
    if (watch_.noted_.erase(path) != 0) {
      changes_.noted.insert(path);
      watch_.watch_->forget_folder(path);
    }
    if (watch_.known_.erase(path) == 0) return;
    fresh_.erase(path);
    if (is_folder) {
      take_below(watch_.known_, path);
      take_below(watch_.noted_, path);
      watch_.watch_->forget_folder(path);
    }
    tell({.kind = FileChange::Kind::deleted, .path = path, .is_folder = is_folder, .from = {}});
  }

  WorkWatch& watch_;
  Changes& changes_;
  std::map<std::uint32_t, Told> moved_;  // that have not come in anywhere yet
  std::set<std::string> fresh_;          // told to be new, or other, and not gone since
};

WorkWatch::WorkWatch(const sys::BeneathDir& work, const std::string& path, WorkScope scope,
                     Limits limits, LeftOutFolders left_out)
    : work_(work),
      path_(sys::normalize_path(path)),
      scope_(scope),
      limits_(limits),
      left_out_folders_(left_out),
      left_out_(work, scope) {
  begin();
}

void WorkWatch::begin() {
  watch_ = sys::FolderWatch::make(limits_.folders_max);
  if (!watch_) throw_watch_limit("the machine lets nobody watch more (max_user_instances)");
  known_.clear();
  noted_.clear();
  left_out_ =
      LeftOut(work_, scope_, limits_.patterns);  // Whoever begins anew reads the same rules again.
  left_out_.read_rules_above(path_);
  follow(path_, nullptr);
}

bool WorkWatch::is_left_out(const std::string& path, bool is_folder) const {
  const std::string name = path.substr(path.rfind('/') + 1);
  return sys::is_temporary_name(name) ||
         (is_folder ? left_out_.folder(path) : left_out_.file(path));
}

void WorkWatch::know(const std::string& path) {
  known_.insert(path);
  if (known_.size() > limits_.names_max) {
    throw_watch_limit("the folder holds more than " + std::to_string(limits_.names_max) +
                      " files: too many to watch");
  }
}

bool WorkWatch::note(const std::string& folder) {
  if (left_out_folders_ == LeftOutFolders::untold) return false;
  if (sys::is_temporary_name(sys::name_of(folder))) return false;
  noted_.insert(folder);
  return true;
}

void WorkWatch::follow(const std::string& folder, std::vector<FileChange>* told) {
  std::optional<sys::TreeWalk> tree;
  try {
    tree.emplace(work_.walk(folder));
  } catch (const Error&) {
    if (told == nullptr) throw;
    return;  // It has vanished again.
  }
  sys::TreeWalk::Visitor visitor;
  visitor.enter = [&](const std::string& path) {
    if (path == folder) return sys::Walk::go_on;
    if (noted_.contains(sys::parent_of(path))) return sys::Walk::skip;
    return left_out_.folder(path) && !note(path) ? sys::Walk::skip : sys::Walk::go_on;
  };
  // Watched before it is read: what comes into it meanwhile is told, or seen, or both.
  visitor.opened = [&](int fd, const std::string& path) {
    if (!watch_->add(fd, path)) {
      throw_watch_limit("folder \"" + path + "\" cannot be watched: " +
                        std::to_string(watch_->folder_count()) + " are already");
    }
    if (!noted_.contains(path)) left_out_.read_rules(path);
  };
  visitor.each = [&](sys::DirEntry& entry) {
    if (noted_.contains(sys::parent_of(entry.path))) return;
    const bool is_folder = entry.stat.kind == sys::FileKind::directory;
    if (is_left_out(entry.path, is_folder) || known_.contains(entry.path)) return;
    know(entry.path);
    if (told == nullptr) return;
    told->push_back({.kind = FileChange::Kind::created,
                     .path = entry.path,
                     .is_folder = is_folder,
                     .from = {}});
  };
  while (tree->step(visitor)) continue;
  require_rules();
}

// Everything would be left out, and nothing be told, from then on.
void WorkWatch::require_rules() const {
  if (left_out_.exhausted()) {
    throw_watch_limit("the patterns of .gitignore take too long to compare");
  }
}

WorkWatch::Changes WorkWatch::take() {
  Changes changes;
  Telling telling(*this, changes);
  const auto on_change = [&](const Told& told) { telling.take(told); };
  bool complete = watch_->take_each(on_change);
  // Both sides of a move are told one right after the other.
  complete = watch_->take_each(on_change) && complete;
  telling.finish();
  require_rules();
  if (complete || changes.is_gone) return changes;
  changes.has_overflown = true;
  try {
    begin();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    changes.is_gone = true;
  }
  return changes;
}

}  // namespace cellar::cell
