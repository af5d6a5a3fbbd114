#include "base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace cellar {
namespace {

// How many letters two names differ by.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t corner = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = corner + (a[i - 1] == b[j - 1] ? 0 : 1);
      corner = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& names,
                         std::size_t distance_max) {
  std::string best;
  for (const std::string& known : names) {
    const std::size_t apart = distance(name, known);
    if (apart > distance_max || (!best.empty() && apart >= distance(name, best))) continue;
    best = known;
  }
  return best;
}

}  // namespace cellar
