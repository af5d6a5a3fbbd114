#include "sys/tree_walk.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "sys/beneath_parts.h"

namespace cellar::sys {
namespace {

// Names in one folder, at most `limit`, sorted; sets `more` when there are others.
std::vector<std::string> names_in(DIR* dir, const std::string& path, std::size_t limit,
                                  bool& more) {
  std::vector<std::string> names;
  while (const dirent* entry = beneath::next_entry(dir, path)) {
    const std::string_view name(entry->d_name);
    if (is_temporary_name(name)) continue;
    if (names.size() == limit) {
      more = true;
      break;
    }
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TreeWalk::Visitor TreeWalk::of_files(BeneathDir::Visitor files) {
  Visitor all{.enter = std::move(files.enter), .opened = std::move(files.opened), .each = {}};
  all.each = [visit = std::move(files.visit)](const DirEntry& entry) {
    if (entry.stat.kind == FileKind::file) visit(entry);
  };
  return all;
}

TreeWalk::TreeWalk(Fd start, std::string prefix, std::size_t names_max)
    : start_(std::move(start)), prefix_(std::move(prefix)), names_left_(names_max) {}

std::string TreeWalk::full_path(const std::string& path) const {
  return prefix_ == "." ? path : path == "." ? prefix_ : prefix_ + "/" + path;
}

bool TreeWalk::step(const Visitor& visitor) {
  while (!open_ && !is_over()) {
    std::string folder = std::move(pending_.back());
    pending_.pop_back();
    const std::string path = full_path(folder);
    if (visitor.enter && visitor.enter(path) == Walk::skip) continue;
    Fd fd(
        beneath::open_at(start_.get(), folder.c_str(), O_RDONLY | O_DIRECTORY, beneath::kOneName));
    if (!fd && code_of_errno(errno) == ErrorCode::exhausted) beneath::throw_resolution(errno, path);
    if (!fd) continue;  // Vanished, or swapped for a link, since its name was read.
    open(std::move(fd), std::move(folder), visitor);
  }
  if (!open_) return false;
  read_on(visitor);
  return true;
}

void TreeWalk::open(Fd fd, std::string folder, const Visitor& visitor) {
  const std::string path = full_path(folder);
  if (visitor.opened) visitor.opened(fd.get(), path);
  Open next{.path = std::move(folder), .dir = beneath::read_folder(std::move(fd), path)};
  next.names = names_in(next.dir.get(), path, names_left_, next.has_more);
  next.first_child = pending_.size();
  names_left_ -= next.names.size();
  open_ = std::move(next);
}

void TreeWalk::read_on(const Visitor& visitor) {
  const std::size_t end = std::min(open_->next + kNamesPerStep, open_->names.size());
  while (open_->next < end) read(open_->names[open_->next++], visitor);
  if (end < open_->names.size()) return;
  is_cut_ = open_->has_more;
  std::reverse(pending_.begin() + static_cast<std::ptrdiff_t>(open_->first_child), pending_.end());
  open_.reset();
}

void TreeWalk::read(const std::string& name, const Visitor& visitor) {
  const std::string path = open_->path == "." ? name : open_->path + "/" + name;
  const int dir = ::dirfd(open_->dir.get());
  DirEntry entry;
  entry.path = full_path(path);
  struct stat raw{};
  if (entry.path.size() > BeneathDir::kPathBytesMax) return;
  if (::fstatat(dir, name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) == -1) return;
  entry.stat = beneath::to_stat(raw);
  if (entry.stat.kind == FileKind::directory) pending_.push_back(path);
  if (entry.stat.kind == FileKind::symlink) entry.target = beneath::link_target(dir, name);
  visitor.each(entry);
}

}  // namespace cellar::sys
