#pragma once

#include <cstdint>

#include "base/clock.h"
#include "net/tls_identity.h"

// When an operator is told that a certificate ends: pure.
namespace cellar::certificates {

enum class Ending : std::uint8_t { far, near, over };

// So long before its end a certificate is near it: a fifth of its lifetime, at most two weeks. One
// that is renewed in time never is.
WallTime::duration near_for(WallTime::duration lifetime) noexcept;

Ending ending_of(const net::TlsIdentity& identity, WallTime now) noexcept;

// What was told of the end of the certificate in one place.
class ToldEnding {
 public:
  // What is to be told now, which counts as told then: an ending when it begins, and once a day as
  // long as it lasts. `far`: nothing.
  Ending next(const net::TlsIdentity& identity, WallTime now);

 private:
  Ending told_ = Ending::far;
  WallTime expires_at_;  // of the certificate that it was told of
  WallTime told_at_;
};

}  // namespace cellar::certificates
