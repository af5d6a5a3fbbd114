#include "base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/text.h"

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
    // Names differ by as many letters as the one is longer, at least: an endless one takes no time.
    const auto [shorter, longer] = std::minmax({name.size(), known.size()});
    if (longer - shorter > distance_max) continue;
    const std::size_t apart = distance(name, known);
    if (apart > distance_max || (!best.empty() && apart >= distance(name, best))) continue;
    best = known;
  }
  return best;
}

UnknownName describe_unknown(std::string_view name, const std::vector<std::string>& names) {
  constexpr std::size_t kShownBytesMax = 64;
  constexpr std::size_t kMisspeltMax = 2;
  UnknownName unknown;
  std::size_t end = 0;
  while (end < name.size()) {
    const std::size_t size = utf8_size_at(name, end);
    if (size == 0 || end + size > kShownBytesMax) break;
    end += size;
  }
  unknown.shown = std::string(name.substr(0, end)) + (end < name.size() ? "…" : "");
  if (names.empty()) {
    unknown.remedy = "leave it out: none is known here";
    return unknown;
  }
  const std::string near = nearest_name(name, names, std::min(kMisspeltMax, name.size() / 2));
  if (!near.empty()) unknown.remedy = "\"" + near + "\" is near; ";
  unknown.remedy += "known here: ";
  for (const std::string& known : names) unknown.remedy += known + ", ";
  unknown.remedy.resize(unknown.remedy.size() - 2);
  return unknown;
}

}  // namespace cellar
