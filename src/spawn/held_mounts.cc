#include "spawn/held_mounts.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

namespace cellar::spawn {
namespace {

bool has_ended(const sys::Fd& process) {
  pollfd wait{process.get(), POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

}  // namespace

void HeldMounts::hold(std::string cell_dir, sys::Fd process, sys::Fd mounts) {
  held_.push_back({std::move(cell_dir), std::move(process), std::move(mounts)});
}

std::vector<HeldMounts::Held> HeldMounts::take_ended(const std::string& cell_dir) {
  const auto stays = [&](const Held& held) {
    return (!cell_dir.empty() && held.cell_dir != cell_dir) || !has_ended(held.process);
  };
  const auto ended = std::partition(held_.begin(), held_.end(), stays);
  std::vector<Held> taken(std::make_move_iterator(ended), std::make_move_iterator(held_.end()));
  held_.erase(ended, held_.end());
  return taken;
}

void HeldMounts::finish(const std::string& cell_dir) {
  if (!cell_dir.empty()) take_ended(cell_dir);
}

std::vector<int> HeldMounts::descriptors() const {
  std::vector<int> all;
  for (const Held& held : held_) all.push_back(held.process.get());
  return all;
}

bool HeldMounts::release_ended() {
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
