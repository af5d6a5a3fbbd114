#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "journal/frame.h"

namespace cellar::journal {

// Where every record of a journal is: 16 bytes for each, 8 more to find the records of a run.
class RecordIndex {
 public:
  // The first record that is added gets the lsn `first`.
  explicit RecordIndex(Lsn first = 1) : first_(first) {}

  struct Entry {
    std::uint32_t segment = 0;  // its number; kNoSegment: not sealed yet
    std::uint32_t offset = 0;   // in the segment, or in the bytes that are not sealed
    std::uint32_t run = 0;
    Type type = Type::event;
  };
  static constexpr std::uint32_t kNoSegment = 0xffffffff;

  // Adds the next record and returns its lsn.
  Lsn add(const Entry& entry);
  // Moves the unsealed records from `first` on into `segment`, `base` bytes further on.
  void place(Lsn first, std::uint32_t segment, std::uint32_t base) noexcept;

  // Forgets the records before `first`, which is there.
  void drop_before(Lsn first);

  const Entry& at(Lsn lsn) const noexcept { return entries_[lsn - first_]; }
  Lsn first() const noexcept { return first_; }
  Lsn last() const noexcept { return first_ + entries_.size() - 1; }
  Lsn last_of(std::uint32_t run) const noexcept;
  // The lsns of the run's records behind `after`, in order; valid until the next add().
  std::span<const Lsn> of_run(std::uint32_t run, Lsn after) const noexcept;

 private:
  Lsn first_;
  std::vector<Entry> entries_;
  std::unordered_map<std::uint32_t, std::vector<Lsn>> runs_;
};

}  // namespace cellar::journal
