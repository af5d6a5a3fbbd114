#include "spawn/pool.h"

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/error.h"
#include "sandbox/groups.h"

namespace cellar::spawn {
namespace {

using sandbox::DomainKind;

constexpr int kRemoveAttempts = 500;
constexpr std::chrono::milliseconds kRemovePause{1};

std::size_t index_of(DomainKind kind) noexcept { return static_cast<std::size_t>(kind); }

// False where one of them is gone.
bool all_well(std::array<std::optional<Blank>, 2>& blanks) {
  for (auto& blank : blanks) {
    if (blank && !blank->check()) return false;
  }
  return true;
}

}  // namespace

Pool::~Pool() {
  std::vector<std::string> names;
  for (const Slot& slot : ready_) names.push_back(slot.name);
  ready_.clear();
  for (const std::string& name : names) discard(name);
  discard_undone();
}

sandbox::CgroupPlan Pool::groups_of(const std::string& slot) const {
  return sandbox::plan_cgroups(options_.host, options_.daemon_group, slot);
}

sandbox::DomainGroups Pool::groups_of(const std::string& slot, DomainKind kind) const {
  const sandbox::CgroupPlan groups = groups_of(slot);
  return {groups.join, groups.domain(kind)};
}

std::string Pool::make_groups(const std::string& slot) {
  std::string name = slot.empty() ? options_.run + "-" + std::to_string(++count_) : slot;
  sandbox::apply(groups_of(name));
  return name;
}

Blank Pool::make_blank(const std::string& slot, DomainKind kind) {
  return Blank(programs_, groups_of(slot, kind));
}

Pool::Slot Pool::make_slot() {
  Slot slot{make_groups({}), {}};
  try {
    for (const DomainKind kind : {DomainKind::agent, DomainKind::shell}) {
      slot.blanks[index_of(kind)].emplace(make_blank(slot.name, kind));
    }
  } catch (const Error&) {
    slot.blanks = {};
    discard(slot.name);
    throw;
  }
  return slot;
}

Pool::Taken Pool::take(const std::string& slot, DomainKind kind) {
  check_blanks();  // Whoever kills all of a cell kills the blank that is kept for it, too.
  if (!slot.empty()) {
    const auto given = given_.find(slot);
    if (given != given_.end() && given->second[index_of(kind)]) {
      Blank blank = std::move(*given->second[index_of(kind)]);
      given_.erase(given);
      return {slot, std::move(blank)};
    }
    make_groups(slot);
    return {slot, make_blank(slot, kind)};
  }
  Slot taken;
  if (ready_.empty()) {
    taken = make_slot();
  } else {
    taken = std::move(ready_.front());
    ready_.pop_front();
  }
  failing_ = false;
  Blank blank = std::move(*taken.blanks[index_of(kind)]);
  taken.blanks[index_of(kind)].reset();
  given_.emplace(taken.name, std::move(taken.blanks));
  return {std::move(taken.name), std::move(blank)};
}

bool Pool::make_ahead() {
  if (failing_ || ready_.size() >= options_.ready_max) return false;
  try {
    ready_.push_back(make_slot());
    return true;
  } catch (const Error& error) {
    std::fprintf(stderr, "cellar-spawn: nothing is prepared: %s\n", error.what());
    failing_ = true;
    return false;
  }
}

bool Pool::is_low() const noexcept { return !failing_ && 2 * ready_.size() < options_.ready_max; }

std::vector<int> Pool::sockets() const {
  std::vector<int> all;
  const auto add = [&all](const Pair& blanks) {
    for (const auto& blank : blanks) {
      if (blank) all.push_back(blank->socket());
    }
  };
  for (const Slot& slot : ready_) add(slot.blanks);
  for (const auto& [name, blanks] : given_) add(blanks);
  return all;
}

void Pool::check_blanks() {
  discard_undone();
  for (auto at = ready_.begin(); at != ready_.end();) {
    if (all_well(at->blanks)) {
      ++at;
      continue;
    }
    std::fprintf(stderr, "cellar-spawn: a prepared cell has failed\n");
    failing_ = true;
    const std::string name = std::move(at->name);
    at = ready_.erase(at);
    discard(name);
  }
  // The cell has ended, and its groups are the daemon's to remove.
  for (auto at = given_.begin(); at != given_.end();) {
    at = all_well(at->second) ? std::next(at) : given_.erase(at);
  }
}

void Pool::discard(const std::string& slot) {
  given_.erase(slot);
  if (!try_discard(slot)) undone_.push_back(slot);
}

void Pool::discard_undone() {
  for (const std::string& slot : std::exchange(undone_, {})) discard(slot);
}

// What is left in the end the next daemon removes.
bool Pool::try_discard(const std::string& slot) const {
  const sandbox::CgroupPlan groups = groups_of(slot);
  try {
    sandbox::kill_group(groups.cell);
    for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
      if (sandbox::try_remove(groups)) return true;
      std::this_thread::sleep_for(kRemovePause);
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "cellar-spawn: %s\n", error.what());
  }
  return false;
}

}  // namespace cellar::spawn
