#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "sys/machine_memory.h"

namespace cellar::cell {

// How much the machine keeps for itself and for what runs already, in bytes.
struct Reserve {
  std::uint64_t memory = 0;
  std::uint64_t disk = 0;  // of the state folder's file system

  bool operator==(const Reserve&) const = default;
};

// The 20th part of its memory, at most 1 GiB; the 50th part of its disk, at most 1 GiB.
Reserve usual_reserve(std::uint64_t memory_total, std::uint64_t disk_total) noexcept;

// What the machine says of its memory.
struct MemoryState {
  std::uint64_t available = 0;
  std::uint64_t reserve = 0;
  std::optional<sys::MemoryPressure> pressure;  // where the kernel measures it
  // Since a cell was hibernated for it last: the kernel's averages follow after seconds only.
  std::chrono::milliseconds since_relief{0};
};

// How much idle cells are to give back: none; one of them, for processes stand still for want of
// memory although there is more than the reserve; or as many as are needed to have the reserve.
enum class Relief : std::uint8_t { none, one_cell, until_reserve };

// Pressure alone does not count where four times the reserve is left: it is a cell's that fights
// with its own limit then, and others would give up what is no use to it.
Relief relief_for(const MemoryState& memory) noexcept;
inline constexpr double kSomePressureMax = 20;  // percent of ten seconds
inline constexpr double kFullPressureMax = 5;
inline constexpr std::chrono::seconds kReliefPause{10};

// Cells that were let in a moment ago count as if they used memory already: many that come at once
// would all see what is free before the first of them has taken any.
class Admissions {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{3};
  static constexpr std::uint64_t kBytesEach = 48 << 20;  // a shell and an agent, as they start
  static constexpr std::size_t kCountMax = 10'000;       // more are not counted

  void add(Time now);
  // What those of the window before `now` are expected to use.
  std::uint64_t bytes(Time now);

 private:
  std::deque<Time> admitted_;
};

// Whether the machine has room for more cells: those who come are refused before those who are
// there are pushed into swap. Reads what the kernel says each time: quick. Loop thread only.
class Capacity {
 public:
  // nullopt: as usual_reserve().
  struct Options {
    std::string state_dir;
    std::optional<std::uint64_t> memory_reserve;
    std::optional<std::uint64_t> disk_reserve;
  };
  // Throws Error.
  explicit Capacity(Options options);

  // As of the constructor, from now on.
  void set_reserve(std::optional<std::uint64_t> memory, std::optional<std::uint64_t> disk);
  bool lacks_memory() const;
  // What idle cells are to do about it, and that one of them has done so.
  Relief relief() const;
  void relieved();
  // Whether so many bytes are left beside the reserve, and what those need who have just come.
  bool has_memory_for(std::uint64_t bytes);
  // Before a cell that has no processes gets some. Throws Error `unavailable`, reason kReason.
  void require_memory();
  // It gets them now.
  void let_in();
  // Before a new cell is made. Throws the same.
  void require_disk() const;

  static constexpr const char* kReason = "no_capacity";

 private:
  std::string state_dir_;
  Reserve reserve_;
  Admissions admissions_;
  std::optional<Admissions::Time> relieved_at_;
};

}  // namespace cellar::cell
