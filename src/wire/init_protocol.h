#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// Messages between the daemon and the cell-init of a domain, on a SOCK_SEQPACKET socket: one
// message is one packet, u8 type and then its fields as wire/packer.h lays them out, in the order
// below. Descriptors travel beside `spawn`: first those for the child, then `cgroup.procs` of the
// v1 groups that it joins, then the command's cgroup folder, then those to keep.
namespace cellar::wire {

// ---- to cell-init ----

// Type 1. Starts a program, leader of a session of its own. Its descriptors are the ones sent
// along, as 0, 1, 2, … in their order; it has no other.
struct SpawnRequest {
  std::uint32_t id = 0;              // chosen by the daemon, names the process ever after
  std::vector<std::string> argv;     // at least one; looked up in PATH of `env`
  std::vector<std::string> env;      // "NAME=value"
  std::string cwd;                   // absolute
  std::uint32_t join_count = 0;      // descriptors of cgroup.procs
  bool has_terminal = false;         // descriptor 0 is one, which becomes the session's own
  bool in_cgroup = false;            // the last descriptor is the cgroup v2 folder to start it in
  std::uint64_t open_files_max = 0;  // RLIMIT_NOFILE; 0 leaves it
  std::uint64_t file_bytes_max = 0;  // RLIMIT_FSIZE; 0 leaves it
  // Of descriptors that cell-init keeps. Where there are some, the program outlives the connection:
  // it and they are told to the next daemon (Kept), until one says `forget`.
  std::uint32_t keep_count = 0;
  bool operator==(const SpawnRequest&) const = default;
};

// Type 2. Sends a signal to the process group that `id` leads.
struct SignalRequest {
  std::uint32_t id = 0;
  std::uint32_t signal = 0;
  bool operator==(const SignalRequest&) const = default;
};

// Type 3. Nobody needs the kept descriptors of the program any more, from the `first` on; where
// that is all of them, it does not outlive the connection either.
struct ForgetRequest {
  std::uint32_t id = 0;
  std::uint32_t first = 0;
  bool operator==(const ForgetRequest&) const = default;
};

using InitRequest = std::variant<SpawnRequest, SignalRequest, ForgetRequest>;

// ---- from cell-init ----

inline constexpr std::uint32_t kInitVersion = 2;

// Type 101, on every connection once all that is kept was told; nothing else comes before it.
struct InitHello {
  std::uint32_t version = kInitVersion;
  bool operator==(const InitHello&) const = default;
};

// Type 102. `pid` as the domain sees it.
struct Started {
  std::uint32_t id = 0;
  std::uint32_t pid = 0;
  bool operator==(const Started&) const = default;
};

// Type 103. The program does not run; `step` is what failed: "execve", "chdir", "clone3", ….
struct StartFailed {
  std::uint32_t id = 0;
  std::string step;
  std::uint32_t error = 0;  // errno
  bool operator==(const StartFailed&) const = default;
};

// Type 104. The leader ended; its children may live on.
struct Exited {
  std::uint32_t id = 0;
  std::uint32_t wait_status = 0;  // as waitpid(2) gives it
  bool operator==(const Exited&) const = default;
};

// Type 105, before the greeting: a program that an earlier connection started. What was kept of it
// travels beside.
struct Kept {
  std::uint32_t id = 0;
  std::uint32_t pid = 0;
  bool has_ended = false;
  std::uint32_t wait_status = 0;  // of one that has ended
  bool operator==(const Kept&) const = default;
};

using InitReport = std::variant<InitHello, Started, StartFailed, Exited, Kept>;

std::string encode(const InitRequest& request);
std::string encode(const InitReport& report);

// nullopt for bytes that are no such message.
std::optional<InitRequest> decode_init_request(std::string_view bytes);
std::optional<InitReport> decode_init_report(std::string_view bytes);

}  // namespace cellar::wire
