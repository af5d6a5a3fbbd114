#include "api/conditions.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cellar::api {

AskedRange parse_range(std::string_view field, std::uint64_t size) noexcept {
  constexpr std::string_view kUnit = "bytes=";
  const AskedRange whole{RangeIs::whole, {}};
  if (!field.starts_with(kUnit)) return whole;
  const std::string_view text = trim(field.substr(kUnit.size()));
  const std::size_t dash = text.find('-');
  if (dash == text.npos || text.find(',') != text.npos) return whole;
  const auto first = parse_int(text.substr(0, dash));
  const auto last = parse_int(text.substr(dash + 1));
  const bool has_first = dash > 0;
  const bool has_last = dash + 1 < text.size();
  if (has_first != first.has_value() || has_last != last.has_value()) return whole;
  if ((!first && !last) || first.value_or(0) < 0 || last.value_or(0) < 0) return whole;
  if (!first) {  // The last so many bytes.
    const auto count = std::min(static_cast<std::uint64_t>(*last), size);
    if (count == 0) return {RangeIs::unsatisfiable, {}};
    return {RangeIs::part, {size - count, size - 1}};
  }
  const auto from = static_cast<std::uint64_t>(*first);
  if (last && *last < *first) return whole;
  if (from >= size) return {RangeIs::unsatisfiable, {}};
  const std::uint64_t to = last ? static_cast<std::uint64_t>(*last) : size - 1;
  return {RangeIs::part, {from, std::min(to, size - 1)}};
}

cell::FileConditions::Tags parse_tags(std::string_view field) {
  cell::FileConditions::Tags tags;
  tags.any = trim(field) == "*";
  // A comma may be in a tag, a quote never.
  for (std::size_t at = field.find('"'); at != field.npos; at = field.find('"', at)) {
    const std::size_t end = field.find('"', at + 1);
    if (end == field.npos) break;
    const bool weak = at >= 2 && field.substr(at - 2, 2) == "W/";
    tags.tags.push_back((weak ? "W/" : "") + std::string(field.substr(at, end + 1 - at)));
    at = end + 1;
  }
  return tags;
}

bool names_tag(std::string_view field, std::string_view tag) {
  const auto known = parse_tags(field);
  const auto is_it = [tag](std::string_view one) {
    return (one.starts_with("W/") ? one.substr(2) : one) ==
           (tag.starts_with("W/") ? tag.substr(2) : tag);
  };
  return known.any || std::any_of(known.tags.begin(), known.tags.end(), is_it);
}

cell::FileConditions conditions_of(const http::Request& request) {
  cell::FileConditions conditions;
  if (const std::string* field = request.header("if-match")) {
    conditions.match = parse_tags(*field);
  }
  if (const std::string* field = request.header("if-none-match")) {
    conditions.none_match = parse_tags(*field);
  }
  return conditions;
}

void refuse_conditions(const Call& call) {
  const cell::FileConditions conditions = conditions_of(call.exchange.request());
  if (!conditions.match && !conditions.none_match) return;
  throw Error(ErrorCode::invalid_argument, "invalid_header",
              "this call takes no If-Match and no If-None-Match",
              "leave them out; reading, writing and deleting a file take them");
}

}  // namespace cellar::api
