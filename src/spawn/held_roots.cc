#include "spawn/held_roots.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "sys/file.h"
#include "sys/mounts.h"
#include "sys/process.h"

namespace cellar::spawn {
namespace {

bool has_ended(const sys::Fd& process) {
  pollfd wait{process.get(), POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

}  // namespace

void HeldRoots::hold(pid_t pid, const sandbox::DomainSpec& spec, const sandbox::Image& image) {
  if (spec.kind != sandbox::DomainKind::shell) return;  // An agent's root is not writable.
  const auto id = sys::identify(pid);
  if (!id) return;
  Held held{spec.cell_dir, sys::open_process(*id), {}};
  if (!held.process) return;
  held.mounts.push_back(
      sys::open_file("/proc/" + std::to_string(pid) + "/root", O_PATH | O_DIRECTORY));
  const int root = held.mounts.front().get();
  if (!image.usr.empty()) held.mounts.push_back(sys::open_target(root, "/usr"));
  if (!image.packages.empty()) held.mounts.push_back(sys::open_target(root, "/var/lib/dpkg"));
  held_.push_back(std::move(held));
}

std::vector<HeldRoots::Held> HeldRoots::take_ended(const std::string& cell_dir) {
  const auto stays = [&](const Held& held) {
    return (!cell_dir.empty() && held.cell_dir != cell_dir) || !has_ended(held.process);
  };
  const auto ended = std::partition(held_.begin(), held_.end(), stays);
  std::vector<Held> taken(std::make_move_iterator(ended), std::make_move_iterator(held_.end()));
  held_.erase(ended, held_.end());
  return taken;
}

void HeldRoots::finish(const std::string& cell_dir) { take_ended(cell_dir); }

std::vector<int> HeldRoots::descriptors() const {
  std::vector<int> all;
  for (const Held& held : held_) all.push_back(held.process.get());
  return all;
}

bool HeldRoots::release_ended() {
  std::vector<Held> ended = take_ended();
  if (ended.empty()) return false;
  sys::Pipe ours_closed = sys::make_pipe();
  const pid_t pid = ::fork();
  if (pid == 0) {  // Its end is what lets go last.
    ours_closed.write_end.reset();
    char byte = 0;
    (void)!::read(ours_closed.read_end.get(), &byte, 1);
    ::_exit(0);
  }
  ended.clear();  // Where there was no process to be had, this is what lets go.
  return true;
}

}  // namespace cellar::spawn
