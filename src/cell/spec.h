#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cell/agent_language.h"
#include "cell/llm_spec.h"
#include "cell/network_spec.h"
#include "sandbox/runtime.h"

namespace cellar::cell {

// What a cell may use at most.
struct Limits {
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids_max = 0;
  std::uint32_t cpu_millis = 0;  // 1000 is one processor
  std::uint64_t tmp_bytes = 0;   // of /tmp, and of /dev/shm; counted as memory, too
  std::uint64_t disk_bytes = 0;  // of /work, /root and what it changed of /
  std::uint64_t inodes = 0;      // files and folders of the same
  std::uint32_t cpu_weight = 0;  // its share where several want the processor, or the disk
};

// A named size of a cell, as the contract lists them.
struct Tier {
  std::string_view id;
  std::string_view name;
  std::string_view spec;
  std::string_view storage;
  Limits limits;
};

// starter (the default), standard, performance.
const std::vector<Tier>& tiers();
// Throws Error `invalid_argument`, naming the tiers there are.
const Tier& tier_of(std::string_view id);

// How long runs are kept after they have ended, where nobody says otherwise.
inline constexpr std::chrono::seconds kRunRetention = std::chrono::hours(30 * 24);
// How long a cell may be awake with nobody asking it for anything, where nobody says otherwise.
inline constexpr std::chrono::seconds kMaxAwake = std::chrono::hours(24);

// Who may see a cell's preview: those with a key or a signed link, or everybody.
enum class PreviewAccess : std::uint8_t { only_invited, everybody };
std::string_view name_of(PreviewAccess access) noexcept;  // "private", "public"
// Throws Error `invalid_argument`, naming both.
PreviewAccess parse_preview_access(std::string_view name);

// All that is kept of a cell in its cell.json. Secrets are not here (cell/secrets.h).
struct CellSpec {
  std::string cell_id;
  std::string owner_id;
  std::string customer_id;
  std::string tier = "starter";
  bool permanent = false;
  std::string image = "dev";  // as it was asked for, or "dev"
  std::string image_digest;   // which one that was then; empty: the view of the host
  sandbox::Runtime runtime = sandbox::Runtime::native;  // for the life of the cell
  std::string agent_digest;  // of the current agent; empty where there is none
  AgentLanguage agent_language = AgentLanguage::javascript;
  NetworkSpec network;
  LlmSpec llm;
  std::chrono::seconds idle_timeout{900};
  std::chrono::seconds max_awake{0};  // see LifecycleView
  std::optional<WallTime> kept_alive_until;
  std::optional<WallTime> wake_at;  // when it is brought back, unless somebody needs it before
  std::chrono::seconds run_retention{0};  // how long runs that have ended are kept; 0: for ever
  std::uint32_t uid_index = 0;            // its uid ranges: see agent_uid_base()
  bool has_secrets = false;
  bool file_events = false;  // whether what happens to its files is told in its events
  PreviewAccess preview_access = PreviewAccess::only_invited;
  std::optional<std::uint16_t> preview_port;  // nullopt: see choose_port()
  WallTime created_at;
  WallTime last_active_at;
};

// Throws Error `invalid_argument`, naming the runtimes there are.
sandbox::Runtime parse_runtime(std::string_view name);

// Host uid (and gid) of root in each domain. Two ranges of 65536 ids a cell, from kUidBase upwards.
inline constexpr std::uint32_t kUidBase = 0x10000000;
inline constexpr std::uint32_t kUidRange = 65536;
inline constexpr std::uint32_t kUidIndexMax = 24000;
std::uint32_t agent_uid_base(std::uint32_t uid_index) noexcept;
std::uint32_t shell_uid_base(std::uint32_t uid_index) noexcept;

// cell.json and back. Decoding throws Error `corrupt`, naming the field.
std::string encode(const CellSpec& spec);
CellSpec decode_cell_spec(std::string_view text);

}  // namespace cellar::cell
