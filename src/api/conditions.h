#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/call.h"
#include "cell/work_files.h"

// What a request asks of the file that it names: a part of it, or only a certain one (RFC 9110).
namespace cellar::api {

// A part of a file, both ends included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool operator==(const ByteRange&) const = default;
};
enum class RangeIs : std::uint8_t { absent, whole, part, unsatisfiable };
struct AskedRange {
  RangeIs is = RangeIs::absent;
  ByteRange part;
};
// What a Range field asks of a file of `size` bytes. Several parts, and what is no range of bytes,
// are answered with the whole file.
AskedRange parse_range(std::string_view field, std::uint64_t size) noexcept;

// Whether a list of an If-None-Match field names the tag.
bool names_tag(std::string_view field, std::string_view tag);

// A list of entity tags, or "*". What is no tag names nothing.
cell::FileConditions::Tags parse_tags(std::string_view field);

// If-Match and If-None-Match.
cell::FileConditions conditions_of(const http::Request& request);
// For a call that has no use for them. Throws Error `invalid_argument`, reason `invalid_header`.
void refuse_conditions(const Call& call);

}  // namespace cellar::api
