#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

// Which pages of other origins may ask the API: pure.
namespace cellar::api {

// "https://app.example.com": a scheme and a host as browsers write them. Throws Error
// `invalid_argument` for anything else, "*" included: which pages may use a customer's token is
// worth a list.
void check_origin(const std::string& origin);

// What each answer to a page of `request`'s origin has; with no origins configured, nothing. Other
// pages get no leave; caches are told that it depends.
http::Fields cors_fields(const std::vector<std::string>& origins, const http::Request& request);

// The answer to a browser that asks before it sends; nullopt where this is no such question, or no
// leave is given.
std::optional<http::Response> preflight(const std::vector<std::string>& origins,
                                        const http::Request& request);

}  // namespace cellar::api
