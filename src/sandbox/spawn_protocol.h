#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sandbox/plan.h"

// Messages between the daemon and the spawner, on a SOCK_SEQPACKET socket: one message is one
// packet, u32 number, u8 type and then its fields as wire/packer.h lays them out, in the order
// below. Each request has one answer, with its number; answers come in any order. No two requests
// that are not answered have the same number.
namespace cellar::sandbox {

// How many domains are made at a time: a request for one more fails.
inline constexpr std::size_t kMakingsMax = 16;

// Type 1. Makes a domain, whose cell-init listens at `socket_path`. Answer: DomainMade, or in
// gVisor RunscStarted; MountsStay where the cell has had domains that are not all cleared away.
struct MakeDomain {
  DomainSpec spec;
  std::string socket_path;
  // Of the cell's other domain. Empty: it is not known, or there is none. Of two that are asked for
  // at once the one gets that of the other.
  std::string slot;
  std::string platform;  // gVisor's, which a probe has found to work; empty: native
  bool operator==(const MakeDomain&) const = default;
};

// Where runsc keeps what it has of the domain that is reached at `socket_path`.
inline std::string runsc_folder(const std::string& socket_path) { return socket_path + ".runsc"; }
// The same of a probe, in the state folder.
inline constexpr const char* kProbeFolder = "gvisor-probe";

// Type 2, with a descriptor of a network namespace. Answer: Listening.
struct ListenIn {
  static constexpr std::size_t kPortsMax = 15;
  struct Port {
    std::uint16_t port = 0;
    bool udp = false;
    bool catches_all = false;  // as sys::catch_all(); one of `ports` at most
    bool operator==(const Port&) const = default;
  };
  std::vector<Port> ports;
  bool operator==(const ListenIn&) const = default;
};

// Type 3. Runs a program of ours in gVisor, on this platform. Answer: RunscStarted.
struct ProbeGvisor {
  std::string platform;  // "systrap", "ptrace"
  bool operator==(const ProbeGvisor&) const = default;
};

// Type 4. Makes a warm domain (sandbox/spec.h), whose cell-init is this process, the cell's of
// `spec`. Answer: Personal.
struct Personalize {
  DomainSpec spec;
  std::uint32_t pid = 0;
  std::uint64_t start_time = 0;  // no other process of that number is taken for it
  bool operator==(const Personalize&) const = default;
};

// Type 5, with a descriptor of a network namespace. Answer: SocketMade, with one descriptor.
struct SocketIn {
  enum class Kind : std::uint8_t { tcp_v4, tcp_v6, diagnostics };  // as sys::SocketKind
  Kind kind = Kind::tcp_v4;
  bool operator==(const SocketIn&) const = default;
};

// Type 6. The two domains that were made in the folder `made_in` are those of the cell in
// `cell_dir`, which is that folder by now. Answer: Personal.
struct Adopt {
  std::string made_in;
  std::string cell_dir;
  std::string host_name;
  bool operator==(const Adopt&) const = default;
};

// Type 101, with one descriptor: the first connection to its cell-init.
struct DomainMade {
  std::uint32_t pid = 0;  // of its cell-init as the host sees it; or of gVisor's sandbox
  std::string slot;       // names the cell's cgroups (sandbox/cgroup.h)
  bool operator==(const DomainMade&) const = default;
};

// Type 102, with one descriptor a port, and behind them the one that sys::catch_all() has given.
struct Listening {
  std::string why_not_all;  // where all should have been caught, and are not
  bool operator==(const Listening&) const = default;
};

// Type 103. Nothing was made.
struct SpawnFailed {
  std::string message;
  bool operator==(const SpawnFailed&) const = default;
};

// Type 104, with one descriptor. Making a sandbox takes long: it goes on while the next request is
// answered. What goes wrong is told at the descriptor, a pipe, which ends when runsc has ended and
// cell-init serves, or has done what a probe does; a domain's pid is in `<socket_path>.runsc/pid`
// then. Who asked sets a limit, and ends what is in the slot where it failed.
struct RunscStarted {
  std::string slot;  // as in DomainMade; a probe's has no other use
  bool operator==(const RunscStarted&) const = default;
};

// Type 105.
struct Personal {
  bool operator==(const Personal&) const = default;
};

// Type 106.
struct SocketMade {
  bool operator==(const SocketMade&) const = default;
};

// Type 107, with one descriptor. Nothing was made: what the cell's last domains had mounted is
// still there. Who asked asks again once the descriptor is readable; others are served meanwhile.
struct MountsStay {
  bool operator==(const MountsStay&) const = default;
};

using SpawnRequest = std::variant<MakeDomain, ListenIn, ProbeGvisor, Personalize, SocketIn, Adopt>;
using SpawnAnswer = std::variant<DomainMade, Listening, SpawnFailed, RunscStarted, Personal,
                                 SocketMade, MountsStay>;

std::string encode(std::uint32_t number, const SpawnRequest& request);
std::string encode(std::uint32_t number, const SpawnAnswer& answer);

// The number of such a message; 0 where the bytes have none.
std::uint32_t number_of(std::string_view message);
// nullopt for bytes that are no such message.
std::optional<SpawnRequest> decode_spawn_request(std::string_view bytes);
std::optional<SpawnAnswer> decode_spawn_answer(std::string_view bytes);

// ---- between the spawner and a cell-init that is a blank yet ----
// Each is answered with one packet of text: kBlankDone, or why it could not be done, and then the
// blank has ended.
inline constexpr std::string_view kBlankDone = "done";

// Type 1, the first: become a blank.
struct Prepare {
  DomainGroups groups;
  bool operator==(const Prepare&) const = default;
};

// Type 2, the last: become a domain. With it come, in this order, the domain's user namespace, the
// first connection to it, the socket at which it listens for later ones, the folder where that gets
// its name, and the sources of the plan.
struct Assign {
  DomainSpec spec;
  Image image;
  std::string socket_name;
  bool operator==(const Assign&) const = default;
};
inline constexpr std::size_t kFdsBeforeSources = 4;

using BlankRequest = std::variant<Prepare, Assign>;
std::string encode(const BlankRequest& request);
std::optional<BlankRequest> decode_blank_request(std::string_view bytes);

}  // namespace cellar::sandbox
