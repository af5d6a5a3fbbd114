#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/histogram.h"
#include "cell/run.h"

namespace cellar::cell {

// What all cells of a daemon count and time for its metrics, since it runs. Loop thread only.
struct Measures {
  std::uint64_t cells_made = 0;
  std::uint64_t preview_requests = 0;
  Histogram resume_from_memory;
  Histogram resume_from_disk;
  Histogram journal_sync;
  Histogram search;
  // What cells that were deleted had used of the network.
  std::uint64_t gone_egress_up_bytes = 0;
  std::uint64_t gone_egress_down_bytes = 0;
  std::uint64_t gone_egress_refusals = 0;
};

// What there is at one moment.
struct Census {
  std::array<std::size_t, 3> cells{};               // by State
  std::size_t loaded_count = 0;                     // of those, what is in memory
  std::array<std::size_t, kRunStatusCount> runs{};  // by RunStatus, as they are kept
  std::size_t process_count = 0;                    // in the background, of the API's callers
  // Since the daemon runs, with deleted cells.
  std::uint64_t egress_up_bytes = 0;
  std::uint64_t egress_down_bytes = 0;
  std::uint64_t egress_refusals = 0;
};

}  // namespace cellar::cell
