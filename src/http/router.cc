#include "http/router.h"

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

// From behind, as most routes begin alike.
bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) noexcept {
  const bool has_rest = is_rest(pattern.back());
  if (has_rest ? path.size() < pattern.size() : path.size() != pattern.size()) return false;
  for (std::size_t i = pattern.size(); i-- > 0;) {
    const bool is_longer = is_rest(pattern[i]) && path.size() > pattern.size();
    const bool is_fit = is_name(pattern[i]) ? is_longer || !path[i].empty() : pattern[i] == path[i];
    if (!is_fit) return false;
  }
  return true;
}

PathParams params_of(const std::vector<std::string>& pattern, std::vector<std::string> path) {
  PathParams params;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_name(pattern[i])) continue;
    std::string value = std::move(path[i]);
    for (std::size_t j = i + 1; is_rest(pattern[i]) && j < path.size(); ++j) value += "/" + path[j];
    params.emplace(name_in(pattern[i]), std::move(value));
  }
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
  auto segments = segments_of(pattern);
  const std::size_t literals = literal_count(segments);
  routes_.push_back(
      {std::move(method), std::string(pattern), std::move(segments), literals, std::move(handler)});
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  std::vector<std::string> segments = segments_of(path);
  for (std::string& segment : segments) {
    if (segment.find('%') == segment.npos) continue;
    auto decoded = decode_percent(segment);
    if (!decoded) {
      throw Error(ErrorCode::invalid_argument, "invalid_path",
                  "the path has a broken escape: \"" + segment + "\"");
    }
    segment = std::move(*decoded);
  }
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    if (route.method != method || (best != nullptr && route.literal_count <= best->literal_count)) {
      continue;
    }
    if (fits(route.segments, segments)) best = &route;
  }
  Match match;
  if (best != nullptr) {
    match.handler = &best->handler;
    match.pattern = best->pattern;
    match.params = params_of(best->segments, std::move(segments));
    return match;
  }
  for (const Route& route : routes_) {
    if (fits(route.segments, segments)) match.allowed.push_back(route.method);
  }
  return match;
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> list;
  for (const Route& route : routes_) list.push_back(route.method + " " + route.pattern);
  return list;
}

}  // namespace cellar::http
