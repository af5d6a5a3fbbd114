#pragma once

#include <boost/asio/awaitable.hpp>
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

// Answers GET and HEAD of `path`, which begins with "/" and is still encoded; a folder is its
// index.html. `fields` are part of each answer. `prefix` is before `path` in the client's
// addresses. Throws Error `not_found`, reason `file_not_found`, and `invalid_argument` for other
// methods, reason `method_not_allowed`.
asio::awaitable<void> send_work_file(http::Exchange& exchange, std::shared_ptr<cell::Cell> cell,
                                     std::string prefix, std::string path, http::Fields fields);

}  // namespace cellar::api
