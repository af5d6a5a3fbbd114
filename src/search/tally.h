#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cellar::search {

template <typename Id>
struct Count {
  Id id;
  std::uint32_t count;
};

// Counts how often each number occurs in a list; keeps its memory from one list to the next.
template <typename Id>
class Tally {
 public:
  // In the order of first occurrence; valid until the next call. All ids are below `bound`.
  const std::vector<Count<Id>>& count(const std::vector<Id>& ids, std::size_t bound) {
    if (counts_.size() < bound) counts_.resize(bound + bound / 2);
    entries_.clear();
    for (const Id id : ids) {
      if (counts_[id]++ == 0) entries_.push_back({id, 0});
    }
    for (auto& entry : entries_) {
      entry.count = counts_[entry.id];
      counts_[entry.id] = 0;
    }
    return entries_;
  }

  std::size_t memory_bytes() const noexcept {
    return counts_.capacity() * sizeof(std::uint32_t) + entries_.capacity() * sizeof(Count<Id>);
  }

 private:
  std::vector<std::uint32_t> counts_;  // All 0 between calls.
  std::vector<Count<Id>> entries_;
};

}  // namespace cellar::search
