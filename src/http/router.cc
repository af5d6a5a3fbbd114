#include "http/router.h"

#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace cellar::http {
namespace {

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  for (const std::string_view segment : split(path.substr(path.starts_with("/") ? 1 : 0), '/')) {
    segments.emplace_back(segment);
  }
  return segments;
}

bool is_name(std::string_view segment) noexcept { return segment.starts_with("{"); }
bool is_rest(std::string_view segment) noexcept { return segment.ends_with("...}"); }
std::string_view name_in(std::string_view segment) noexcept {
  return segment.substr(1, segment.size() - (is_rest(segment) ? 5 : 2));
}

std::optional<PathParams> match_segments(const std::vector<std::string>& pattern,
                                         const std::vector<std::string>& path) {
  PathParams params;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (i >= path.size()) return std::nullopt;
    if (is_rest(pattern[i])) {
      std::string rest = path[i];
      for (std::size_t j = i + 1; j < path.size(); ++j) rest += "/" + path[j];
      if (rest.empty()) return std::nullopt;
      params.emplace(name_in(pattern[i]), std::move(rest));
      return params;
    }
    if (is_name(pattern[i])) {
      if (path[i].empty()) return std::nullopt;
      params.emplace(name_in(pattern[i]), path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  if (path.size() != pattern.size()) return std::nullopt;
  return params;
}

// How many segments of the pattern are literal: of two routes that match the one with more wins.
std::size_t literal_count(const std::vector<std::string>& pattern) noexcept {
  std::size_t count = 0;
  for (const std::string& segment : pattern) count += is_name(segment) ? 0 : 1;
  return count;
}

}  // namespace

void Router::add(std::string method, std::string_view pattern, Handler handler) {
  routes_.push_back(
      {std::move(method), std::string(pattern), segments_of(pattern), std::move(handler)});
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  std::vector<std::string> segments;
  for (const std::string& segment : segments_of(path)) {
    auto decoded = decode_percent(segment);
    if (!decoded) {
      throw Error(ErrorCode::invalid_argument, "invalid_path",
                  "the path has a broken escape: \"" + segment + "\"");
    }
    segments.push_back(std::move(*decoded));
  }
  Match best;
  std::size_t best_literals = 0;
  for (const Route& route : routes_) {
    auto params = match_segments(route.segments, segments);
    if (!params) continue;
    best.allowed.push_back(route.method);
    const std::size_t literals = literal_count(route.segments);
    if (route.method != method || (best.handler != nullptr && literals <= best_literals)) continue;
    best.handler = &route.handler;
    best.pattern = route.pattern;
    best.params = std::move(*params);
    best_literals = literals;
  }
  return best;
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> list;
  for (const Route& route : routes_) list.push_back(route.method + " " + route.pattern);
  return list;
}

}  // namespace cellar::http
