#include "journal/record_index.h"

#include <algorithm>

namespace cellar::journal {

Lsn RecordIndex::add(const Entry& entry) {
  entries_.push_back(entry);
  const Lsn lsn = last();
  runs_[entry.run].push_back(lsn);
  return lsn;
}

void RecordIndex::place(Lsn first, std::uint32_t segment, std::uint32_t base) noexcept {
  for (auto at = entries_.begin() + static_cast<std::ptrdiff_t>(first - first_);
       at != entries_.end(); ++at) {
    at->segment = segment;
    at->offset += base;
  }
}

void RecordIndex::drop_before(Lsn first) {
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first - first_));
  first_ = first;
  for (auto run = runs_.begin(); run != runs_.end();) {
    std::vector<Lsn>& lsns = run->second;
    lsns.erase(lsns.begin(), std::lower_bound(lsns.begin(), lsns.end(), first));
    run = lsns.empty() ? runs_.erase(run) : std::next(run);
  }
}

Lsn RecordIndex::last_of(std::uint32_t run) const noexcept {
  const auto found = runs_.find(run);
  return found == runs_.end() ? 0 : found->second.back();
}

std::span<const Lsn> RecordIndex::of_run(std::uint32_t run, Lsn after) const noexcept {
  const auto found = runs_.find(run);
  if (found == runs_.end()) return {};
  const auto& lsns = found->second;
  return {std::upper_bound(lsns.begin(), lsns.end(), after), lsns.end()};
}

}  // namespace cellar::journal
