#include "spawn/makings.h"

#include <algorithm>
#include <utility>

namespace cellar::spawn {

void Makings::require_room() const {
  if (all_.size() < sandbox::kMakingsMax) return;
  throw Error(ErrorCode::exhausted,
              std::to_string(all_.size()) + " domains are being made, more than that are not");
}

void Makings::add(Making making) {
  require_room();
  all_.push_back({std::move(making), Clock::now() + limit_});
}

std::string Makings::slot_of(const std::string& cell_dir) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const UnderWay& one) {
    return one.making.cell_dir == cell_dir;
  });
  return found == all_.end() ? std::string() : found->making.slot;
}

bool Makings::has_slot(const std::string& slot) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const UnderWay& one) { return one.making.slot == slot; });
}

std::vector<int> Makings::sockets() const {
  std::vector<int> sockets;
  for (const UnderWay& one : all_) sockets.push_back(one.making.blank.socket());
  return sockets;
}

std::chrono::milliseconds Makings::wait_limit() const {
  auto first = Clock::time_point::max();
  for (const UnderWay& one : all_) first = std::min(first, one.give_up);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now());
  return std::clamp(left, std::chrono::milliseconds(0), limit_);
}

std::vector<Makings::Ended> Makings::take_ended() {
  std::vector<Ended> ended;
  const auto now = Clock::now();
  for (auto at = all_.begin(); at != all_.end();) {
    std::optional<Error> failure;
    bool is_made = false;
    try {
      is_made = at->making.blank.advance();
    } catch (const Error& error) {
      failure = error;
    }
    if (!is_made && !failure && now >= at->give_up) {
      failure.emplace(ErrorCode::unavailable,
                      "cell-init has said nothing for " + std::to_string(limit_.count()) + " ms");
    }
    if (is_made || failure) {
      ended.push_back({std::move(at->making), std::move(failure)});
      at = all_.erase(at);
    } else {
      ++at;
    }
  }
  return ended;
}

std::vector<Makings::Making> Makings::take_all() {
  std::vector<Making> taken;
  for (UnderWay& one : std::exchange(all_, {})) taken.push_back(std::move(one.making));
  return taken;
}

}  // namespace cellar::spawn
