#include "spawn/held_mounts.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <iterator>

#include "base/error.h"
#include "sys/call.h"
#include "sys/namespace.h"

namespace cellar::spawn {
namespace {

bool has_ended(const sys::Fd& process, int within_ms = 0) {
  pollfd wait{process.get(), POLLIN, 0};
  return sys::retry_on_signal([&] { return ::poll(&wait, 1, within_ms); }) == 1;
}

}  // namespace

void HeldMounts::hold(std::string cell_dir, sys::Fd process, sys::Fd mounts) {
  held_.push_back({std::move(cell_dir), std::move(process), std::move(mounts)});
}

// In the child, whose end is what lets go last. Of all else it lets go before: what belongs to
// cells that go on would be held until these mounts are gone.
void HeldMounts::let_go(const std::vector<Held>& ended, int ours_closed) {
  std::vector<unsigned> kept = {static_cast<unsigned>(ours_closed)};
  for (const Held& held : ended) kept.push_back(static_cast<unsigned>(held.mounts.get()));
  std::sort(kept.begin(), kept.end());
  unsigned next = STDERR_FILENO + 1;
  for (const unsigned fd : kept) {
    if (fd > next) ::close_range(next, fd - 1, 0);
    next = fd + 1;
  }
  ::close_range(next, UINT_MAX, 0);
  char byte = 0;
  (void)!::read(ours_closed, &byte, 1);
  ::_exit(0);
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
  if (cell_dir.empty()) return;
  take_ended(cell_dir);
  for (const Release& release : releases_) {
    const auto& dirs = release.cell_dirs;
    if (std::find(dirs.begin(), dirs.end(), cell_dir) == dirs.end()) continue;
    if (!has_ended(release.process, kFinishMs)) {
      throw Error(ErrorCode::timed_out, "what was mounted in " + cell_dir +
                                            " is still there after " +
                                            std::to_string(kFinishMs / 1000) + " s");
    }
  }
  forget_ended_releases();
}

void HeldMounts::forget_ended_releases() {
  std::erase_if(releases_, [](const Release& release) { return has_ended(release.process); });
}

std::vector<int> HeldMounts::descriptors() const {
  std::vector<int> all;
  for (const Held& held : held_) all.push_back(held.process.get());
  return all;
}

bool HeldMounts::release_ended() {
  std::vector<Held> ended = take_ended();
  if (ended.empty()) return false;
  forget_ended_releases();
  Release release;
  for (const Held& held : ended) release.cell_dirs.push_back(held.cell_dir);
  sys::Pipe ours_closed = sys::make_pipe();
  try {
    sys::Forked forked = sys::fork_child();
    if (forked.pid == 0) let_go(ended, ours_closed.read_end.get());
    release.process = std::move(forked.process);
    releases_.push_back(std::move(release));
  } catch (const Error&) {
    // Where there is no process to be had, this one lets go.
  }
  ended.clear();
  return true;
}

}  // namespace cellar::spawn
