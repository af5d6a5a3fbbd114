#include "spawn/user_namespaces.h"

#include <algorithm>

#include "sys/user_namespace.h"

namespace cellar::spawn {

int UserNamespaces::get(std::uint32_t uid_base) {
  newest_ = std::max(newest_, uid_base);
  const auto found = known_.find(uid_base);
  return found != known_.end() ? found->second.get() : add(uid_base);
}

int UserNamespaces::add(std::uint32_t uid_base) {
  // The oldest cells go first. All processes of a domain hold its namespace anyway.
  if (known_.size() >= kKeptMax) known_.erase(known_.begin());
  return (known_[uid_base] = sys::make_user_namespace(uid_base, kIdsPerDomain)).get();
}

bool UserNamespaces::make_ahead(std::size_t ahead) {
  if (newest_ == 0) return false;
  for (std::size_t i = 1; i <= ahead; ++i) {
    const auto next = static_cast<std::uint32_t>(newest_ + i * kIdsPerDomain);
    if (known_.contains(next)) continue;
    add(next);
    return true;
  }
  return false;
}

}  // namespace cellar::spawn
