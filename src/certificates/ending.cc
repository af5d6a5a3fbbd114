#include "certificates/ending.h"

#include <algorithm>

namespace cellar::certificates {
namespace {

constexpr std::chrono::hours kNearMax{14 * 24};
constexpr std::chrono::hours kAgainAfter{24};

}  // namespace

WallTime::duration near_for(WallTime::duration lifetime) noexcept {
  return std::min<WallTime::duration>(lifetime / 5, kNearMax);
}

Ending ending_of(const net::TlsIdentity& identity, WallTime now) noexcept {
  const WallTime end = identity.expires_at();
  if (end <= now) return Ending::over;
  return end - near_for(end - identity.valid_from()) <= now ? Ending::near : Ending::far;
}

Ending ToldEnding::next(const net::TlsIdentity& identity, WallTime now) {
  const Ending ending = ending_of(identity, now);
  const bool is_same = ending == told_ && identity.expires_at() == expires_at_;
  // A clock that was ahead once keeps nothing from being told.
  const bool is_fresh = told_at_ <= now && now < told_at_ + kAgainAfter;
  if (is_same && is_fresh) return Ending::far;
  told_ = ending;
  expires_at_ = identity.expires_at();
  told_at_ = now;
  return ending;
}

}  // namespace cellar::certificates
