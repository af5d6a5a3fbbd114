#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "net/tls_identity.h"

// Certificates as they are on the disk: blocking, any thread.
namespace cellar::certificates {

// The files of a certificate with its chain, and of its key, both PEM.
struct PairFiles {
  std::string chain;
  std::string key;
};

// What a look at them gave.
struct Look {
  std::string digest;                        // of what was there; the same: nothing has changed
  std::optional<net::TlsIdentity> identity;  // where it is another one than before, and is good
  std::string problem;                       // why it is not; empty: it is, or nothing has changed
};

// Reads both, and checks them where they are not what `digest` is of. `name` is the host that the
// certificate has to prove; empty: any. Never throws Error: a problem is an answer.
Look look_at(const PairFiles& files, const std::string& digest, const std::string& name,
             WallTime now);

}  // namespace cellar::certificates
