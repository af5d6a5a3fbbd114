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
constexpr std::uint32_t kEvents =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;

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
  folders_[watch] = path == "." ? "" : path + "/";
  return true;
}

void FolderWatch::note(const inotify_event& event, Changes& changes) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) changes.complete = false;
  const auto folder = folders_.find(event.wd);
  if (folder == folders_.end()) return;
  if ((event.mask & IN_IGNORED) != 0) {
    folders_.erase(folder);
    return;
  }
  if (event.len == 0) return;  // The folder itself: its own folder tells it.
  const std::string path = folder->second + event.name;
  if ((event.mask & IN_ISDIR) == 0) {
    changes.files.insert(path);
  } else if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    changes.new_folders.insert(path);
  } else {
    changes.old_folders.insert(path);
  }
}

FolderWatch::Changes FolderWatch::take(std::size_t changes_max) {
  Changes changes;
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  for (std::size_t count = 0;;) {
    const auto size =
        retry_on_signal([&] { return ::read(fd_.get(), buffer.data(), buffer.size()); });
    if (size == -1 && errno == EAGAIN) return changes;
    if (size == -1) throw_errno("read", "inotify");
    for (const char *at = buffer.data(), *end = at + size; at < end; ++count) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      note(*event, changes);
      at += sizeof *event + event->len;
    }
    if (count < changes_max) continue;
    changes.complete = false;
    return changes;
  }
}

}  // namespace cellar::sys
