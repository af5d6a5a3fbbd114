#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace cellar::cell {

// How much the machine keeps for itself and for what runs already, in bytes.
struct Reserve {
  std::uint64_t memory = 0;
  std::uint64_t disk = 0;  // of the state folder's file system

  bool operator==(const Reserve&) const = default;
};

// The 20th part of its memory, at most 1 GiB; the 50th part of its disk, at most 1 GiB.
Reserve usual_reserve(std::uint64_t memory_total, std::uint64_t disk_total) noexcept;

// Whether the machine has room for more cells: those who come are refused before those who are
// there are pushed into swap. Reads what the kernel says each time: quick, any thread.
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

  bool lacks_memory() const;
  // Whether so many bytes are left beside the reserve.
  bool has_memory_for(std::uint64_t bytes) const;
  // Before a cell that has no processes gets some. Throws Error `unavailable`, reason kReason.
  void require_memory() const;
  // Before a new cell is made. Throws the same.
  void require_disk() const;

  static constexpr const char* kReason = "no_capacity";

 private:
  std::string state_dir_;
  Reserve reserve_;
};

}  // namespace cellar::cell
