#include "spawn/held_namespaces.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <iterator>

#include "base/error.h"
#include "base/fault.h"
#include "sys/namespace.h"
#include "sys/process.h"

namespace cellar::spawn {

void HeldNamespaces::hold(Owner owner, sys::Fd process, std::vector<sys::Fd> namespaces) {
  held_.push_back({std::move(owner), std::move(process), std::move(namespaces)});
}

std::string HeldNamespaces::slot_of(const std::string& cell_dir) const {
  for (const Held& held : held_) {
    const bool is_of_cell = held.owner.cell_dir == cell_dir && !held.owner.slot.empty();
    if (is_of_cell && !sys::has_ended(held.process.get())) return held.owner.slot;
  }
  return {};
}

void HeldNamespaces::adopt(const std::string& made_in, const std::string& cell_dir,
                           const std::string& host_name, std::size_t count) {
  // First all that is or was on these files, whatever fails: who makes domains there waits for it.
  note_ended();
  for (std::vector<Held>* all : {&held_, &ended_}) {
    for (Held& held : *all) {
      if (held.owner.cell_dir == made_in) held.owner.cell_dir = cell_dir;
    }
  }
  for (Release& release : releases_) {
    std::replace(release.cell_dirs.begin(), release.cell_dirs.end(), made_in, cell_dir);
  }
  std::size_t named = 0;
  for (const Held& held : held_) {
    if (held.owner.cell_dir != cell_dir) continue;
    sys::set_host_name_of(held.process.get(), host_name);
    ++named;
  }
  if (named == count) return;
  throw Error(ErrorCode::unavailable, "of what was made ahead in " + made_in + " some has ended");
}

bool HeldNamespaces::has_slot(const std::string& slot) const {
  return std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
    return held.owner.slot == slot && !sys::has_ended(held.process.get());
  });
}

// In the child, whose end is what lets go last. Of all else it lets go before: what belongs to
// cells that go on would be held until these are gone.
void HeldNamespaces::let_go(const std::vector<Held>& ended, int ours_closed) {
  fault_point("spawn.letting_go");
  std::vector<unsigned> kept = {static_cast<unsigned>(ours_closed)};
  for (const Held& held : ended) {
    for (const sys::Fd& one : held.namespaces) kept.push_back(static_cast<unsigned>(one.get()));
  }
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

void HeldNamespaces::note_ended() {
  const auto lives = [](const Held& held) { return !sys::has_ended(held.process.get()); };
  const auto first = std::partition(held_.begin(), held_.end(), lives);
  std::move(first, held_.end(), std::back_inserter(ended_));
  held_.erase(first, held_.end());
  if (ended_.size() >= kEndedMax) release_ended();
}

sys::Fd HeldNamespaces::going(const std::string& cell_dir) {
  if (cell_dir.empty()) return {};
  note_ended();
  const auto is_of_cell = [&](const Held& held) { return held.owner.cell_dir == cell_dir; };
  if (std::any_of(ended_.begin(), ended_.end(), is_of_cell)) release_ended();
  forget_ended_releases();
  for (const Release& release : releases_) {
    const auto& dirs = release.cell_dirs;
    if (std::find(dirs.begin(), dirs.end(), cell_dir) != dirs.end()) {
      return sys::duplicate(release.process.get());
    }
  }
  return {};
}

void HeldNamespaces::forget_ended_releases() {
  std::erase_if(releases_,
                [](const Release& release) { return sys::has_ended(release.process.get()); });
}

std::vector<int> HeldNamespaces::descriptors() const {
  std::vector<int> all;
  for (const Held& held : held_) all.push_back(held.process.get());
  return all;
}

bool HeldNamespaces::release_ended() {
  if (ended_.empty()) return false;
  std::vector<Held> ended = std::move(ended_);
  ended_.clear();
  forget_ended_releases();
  Release release;
  for (const Held& held : ended) release.cell_dirs.push_back(held.owner.cell_dir);
  try {
    const sys::Pipe ours_closed = sys::make_pipe();
    sys::Forked forked = sys::fork_child();
    if (forked.pid == 0) let_go(ended, ours_closed.read_end.get());
    release.process = std::move(forked.process);
    releases_.push_back(std::move(release));
    ended.clear();  // Before the pipe is closed: the other process is to be the last one.
  } catch (const Error&) {
    // Where there is no process to be had, or no descriptor, this one lets go.
  }
  return true;
}

}  // namespace cellar::spawn
