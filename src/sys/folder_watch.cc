#include "sys/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys {
namespace {

// IN_CLOSE_WRITE is the end of a mapping, too; IN_ATTRIB is what makes a file readable.
constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY |
                                  IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF;

}  // namespace

std::optional<FolderWatch> FolderWatch::make(std::size_t folders_max) {
  Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd && (errno == EMFILE || errno == ENFILE)) return std::nullopt;
  if (!fd) throw_errno("inotify_init1");
  return FolderWatch(std::move(fd), folders_max);
}

bool FolderWatch::add(int folder, const std::string& path) {
  if (folders_.size() == folders_max_) return false;
  // There is no call that takes a descriptor. The path of the name could lead elsewhere by now.
  const std::string link = "/proc/self/fd/" + std::to_string(folder);
  const int watch =
      ::inotify_add_watch(fd_.get(), link.c_str(), kEvents | IN_ONLYDIR | IN_EXCL_UNLINK);
  if (watch == -1) return false;
  if (!first_) first_ = watch;
  set_path(watch, path == "." ? "" : path + "/");
  return true;
}

void FolderWatch::set_path(int watch, std::string path) {
  std::string& known = folders_[watch];
  by_path_.erase({known, watch});
  known = std::move(path);
  by_path_.emplace(known, watch);
}

void FolderWatch::forget(int watch) {
  const auto folder = folders_.find(watch);
  if (folder == folders_.end()) return;
  by_path_.erase({folder->second, watch});
  folders_.erase(folder);
}

std::vector<int> FolderWatch::watches_below(const std::string& folder) const {
  const std::string prefix = folder + "/";
  std::vector<int> watches;
  for (auto at = by_path_.lower_bound({prefix, 0});
       at != by_path_.end() && at->first.starts_with(prefix); ++at) {
    watches.push_back(at->second);
  }
  return watches;
}

bool FolderWatch::note(const inotify_event& event, const OnChange& on_change) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) return false;
  const auto folder = folders_.find(event.wd);
  if (folder == folders_.end()) return true;
  const bool is_end = (event.mask & (IN_IGNORED | IN_MOVE_SELF)) != 0;
  if (is_end && first_ == event.wd) {
    const std::string& path = folder->second;
    on_change({Change::Kind::gone, path.empty() ? "." : path.substr(0, path.size() - 1), true, 0});
  }
  if ((event.mask & IN_IGNORED) != 0) {
    forget(event.wd);
    return true;
  }
  if (event.len == 0) return true;  // The folder itself: its own folder tells it.
  Change change;
  change.kind = (event.mask & IN_CREATE) != 0       ? Change::Kind::created
                : (event.mask & IN_DELETE) != 0     ? Change::Kind::removed
                : (event.mask & IN_MOVED_FROM) != 0 ? Change::Kind::moved_from
                : (event.mask & IN_MOVED_TO) != 0   ? Change::Kind::moved_to
                                                    : Change::Kind::modified;
  change.path = folder->second + event.name;
  change.is_folder = (event.mask & IN_ISDIR) != 0;
  change.cookie = event.cookie;
  on_change(change);
  return true;
}

bool FolderWatch::take_each(const OnChange& on_change, std::size_t changes_max) {
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  bool complete = true;
  for (std::size_t count = 0;;) {
    const auto size =
        retry_on_signal([&] { return ::read(fd_.get(), buffer.data(), buffer.size()); });
    if (size == -1 && errno == EAGAIN) return complete;
    if (size == -1) throw_errno("read", "inotify");
    for (const char *at = buffer.data(), *end = at + size; at < end; ++count) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      complete = note(*event, on_change) && complete;
      at += sizeof *event + event->len;
    }
    if (count >= changes_max) return false;
  }
}

FolderWatch::Changes FolderWatch::take(std::size_t changes_max) {
  Changes changes;
  const auto sort_in = [&](const Change& change) {
    if (change.kind == Change::Kind::gone) return;  // Nothing is left to look at.
    const bool is_new =
        change.kind == Change::Kind::created || change.kind == Change::Kind::moved_to;
    auto& into = !change.is_folder ? changes.files
                 : is_new          ? changes.new_folders
                                   : changes.old_folders;
    into.insert(change.path);
  };
  changes.complete = take_each(sort_in, changes_max);
  return changes;
}

void FolderWatch::rename_folder(const std::string& from, const std::string& to) {
  for (const int watch : watches_below(from)) {
    set_path(watch, to + folders_.at(watch).substr(from.size()));
  }
}

void FolderWatch::forget_folder(const std::string& path) {
  for (const int watch : watches_below(path)) {
    ::inotify_rm_watch(fd_.get(), watch);
    forget(watch);
  }
}

}  // namespace cellar::sys
