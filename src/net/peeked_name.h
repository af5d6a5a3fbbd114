#pragma once

#include <cstdint>
#include <string>

namespace cellar::net {

// What the first bytes of a connection say about the name that the client wants to reach.
struct PeekedName {
  enum class State : std::uint8_t {
    more,       // Not all is here yet.
    found,      // `name` holds it, normal (name.h).
    none,       // The bytes are whole and name nothing: an address, or nothing at all.
    malformed,  // Not this protocol, ambiguous, or too long. More bytes change nothing.
  };
  State state = State::more;
  std::string name = {};
};

// Heads longer than this are malformed.
inline constexpr std::size_t kHeadSizeMax = 64 << 10;

}  // namespace cellar::net
