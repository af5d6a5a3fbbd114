#include "cell/capacity.h"

#include <algorithm>

#include "base/error.h"
#include "sys/disk_use.h"
#include "sys/machine_memory.h"

namespace cellar::cell {
namespace {

constexpr std::uint64_t kReserveMax = 1 << 30;

[[noreturn]] void refuse(const std::string& what, std::uint64_t left, std::uint64_t reserve,
                         const std::string& remedy) {
  throw Error(ErrorCode::unavailable, Capacity::kReason,
              "the machine has no room for another cell: " + std::to_string(left >> 20) +
                  " MiB of " + what + " are left, and " + std::to_string(reserve >> 20) +
                  " MiB are kept free",
              "try again later; " + remedy);
}

}  // namespace

Reserve usual_reserve(std::uint64_t memory_total, std::uint64_t disk_total) noexcept {
  return {std::min(memory_total / 20, kReserveMax), std::min(disk_total / 50, kReserveMax)};
}

Relief relief_for(const MemoryState& memory) noexcept {
  constexpr std::uint64_t kNear = 4;
  if (memory.available < memory.reserve) return Relief::until_reserve;
  const bool is_pressed = memory.pressure && (memory.pressure->some >= kSomePressureMax ||
                                              memory.pressure->full >= kFullPressureMax);
  const bool is_near = memory.available / kNear < memory.reserve;
  const bool may_again = memory.since_relief >= kReliefPause;
  return is_pressed && is_near && may_again ? Relief::one_cell : Relief::none;
}

void Admissions::add(Time now) {
  if (admitted_.size() < kCountMax) admitted_.push_back(now);
}

std::uint64_t Admissions::bytes(Time now) {
  while (!admitted_.empty() && admitted_.front() <= now - kWindow) admitted_.pop_front();
  return admitted_.size() * kBytesEach;
}

Capacity::Capacity(Options options) : state_dir_(std::move(options.state_dir)) {
  set_reserve(options.memory_reserve, options.disk_reserve);
}

void Capacity::set_reserve(std::optional<std::uint64_t> memory, std::optional<std::uint64_t> disk) {
  reserve_ = usual_reserve(sys::machine_memory().total, sys::disk_size(state_dir_).bytes);
  if (memory) reserve_.memory = *memory;
  if (disk) reserve_.disk = *disk;
}

bool Capacity::lacks_memory() const { return sys::machine_memory().available < reserve_.memory; }

Relief Capacity::relief() const {
  MemoryState memory{.available = sys::machine_memory().available,
                     .reserve = reserve_.memory,
                     .pressure = sys::memory_pressure(),
                     .since_relief = kReliefPause};
  if (relieved_at_) {
    memory.since_relief = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - *relieved_at_);
  }
  return relief_for(memory);
}

void Capacity::relieved() { relieved_at_ = std::chrono::steady_clock::now(); }

bool Capacity::has_memory_for(std::uint64_t bytes) {
  const std::uint64_t soon = admissions_.bytes(std::chrono::steady_clock::now());
  return sys::machine_memory().available >= reserve_.memory + soon + bytes;
}

void Capacity::require_memory() {
  const std::uint64_t soon = admissions_.bytes(std::chrono::steady_clock::now());
  const std::uint64_t available = sys::machine_memory().available;
  const std::uint64_t left = available - std::min(available, soon);
  if (left >= reserve_.memory) return;
  refuse("memory", left, reserve_.memory, "hibernate cells, or see --memory-reserve-bytes");
}

void Capacity::let_in() { admissions_.add(std::chrono::steady_clock::now()); }

void Capacity::require_disk() const {
  const std::uint64_t available = sys::disk_free(state_dir_).bytes;
  if (available >= reserve_.disk) return;
  refuse("disk", available, reserve_.disk, "delete cells, or see --disk-reserve-bytes");
}

}  // namespace cellar::cell
