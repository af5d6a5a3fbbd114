#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "sys/fd.h"
#include "sys/process.h"

namespace cellar::cell {

// A cell that nobody has created yet: its files and both of its domains, which are native and have
// the limits of the first tier. Nobody has run anything in them, and the ranges of ids are its own.
struct FreshCell {
  struct Domain {
    sys::ProcessId init;
    sys::Fd connection;  // to its cell-init
  };
  std::string dir;  // of its files
  std::uint32_t uid_index = 0;
  std::string image_digest;       // of its root; empty: the view of the host
  std::string slot;               // of its groups
  std::array<Domain, 2> domains;  // by sandbox::DomainKind
};

}  // namespace cellar::cell
