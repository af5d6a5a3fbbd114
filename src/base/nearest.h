#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cellar {

// What somebody may have meant by a name that is none: the one of `names` that differs by the
// fewest letters (changed, added or left out), the first of several. Empty where each differs by
// more than `distance_max`.
std::string nearest_name(std::string_view name, const std::vector<std::string>& names,
                         std::size_t distance_max);

// What an error says of a name that is none of `names`: the name, cut off where it is long, and
// what to do: `"limit" is near; known here: cursor, limit`.
struct UnknownName {
  std::string shown;
  std::string remedy;
};
UnknownName describe_unknown(std::string_view name, const std::vector<std::string>& names);

}  // namespace cellar
