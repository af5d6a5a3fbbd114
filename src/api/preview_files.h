#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cell/cell.h"
#include "http/exchange.h"

// A cell's /work as a web site: what its preview shows where no server listens.
namespace cellar::api {

namespace asio = boost::asio;

// By the name's extension; "application/octet-stream" for those that are not known.
std::string_view content_type_of(std::string_view path) noexcept;

// Whether no preview shows it: a name of the path begins with a dot (but ".well-known").
bool is_hidden(std::string_view path) noexcept;

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

// Answers GET and HEAD of `path`, which begins with "/" and is still encoded; a folder is its
// index.html. `fields` are part of each answer. `prefix` is before `path` in the client's
// addresses. Throws Error `not_found`, reason `file_not_found`, and `invalid_argument` for other
// methods, reason `method_not_allowed`.
asio::awaitable<void> send_work_file(http::Exchange& exchange, std::shared_ptr<cell::Cell> cell,
                                     std::string prefix, std::string path, http::Fields fields);

}  // namespace cellar::api
