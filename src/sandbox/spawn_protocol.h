#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sandbox/spec.h"

// Messages between the daemon and the spawner, on a SOCK_SEQPACKET socket: one message is one
// packet, u8 type and then its fields as wire/packer.h lays them out, in the order below. Each
// request has one answer, in order.
namespace cellar::sandbox {

// Type 1. Makes a domain, whose cell-init listens at `socket_path`. Answer: DomainMade.
struct MakeDomain {
  DomainSpec spec;
  std::string socket_path;
  bool operator==(const MakeDomain&) const = default;
};

// Type 2, with a descriptor of a network namespace. Answer: Listening, with one descriptor a port.
struct ListenIn {
  static constexpr std::size_t kPortsMax = 16;
  struct Port {
    std::uint16_t port = 0;
    bool udp = false;
    bool operator==(const Port&) const = default;
  };
  std::vector<Port> ports;
  bool operator==(const ListenIn&) const = default;
};

// Type 101. `pid` of its cell-init, as the host sees it.
struct DomainMade {
  std::uint32_t pid = 0;
  bool operator==(const DomainMade&) const = default;
};

// Type 102.
struct Listening {
  bool operator==(const Listening&) const = default;
};

// Type 103. Nothing was made.
struct SpawnFailed {
  std::string message;
  bool operator==(const SpawnFailed&) const = default;
};

using SpawnRequest = std::variant<MakeDomain, ListenIn>;
using SpawnAnswer = std::variant<DomainMade, Listening, SpawnFailed>;

std::string encode(const SpawnRequest& request);
std::string encode(const SpawnAnswer& answer);

// nullopt for bytes that are no such message.
std::optional<SpawnRequest> decode_spawn_request(std::string_view bytes);
std::optional<SpawnAnswer> decode_spawn_answer(std::string_view bytes);

}  // namespace cellar::sandbox
