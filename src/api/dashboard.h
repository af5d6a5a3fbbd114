#pragma once

#include <string_view>

#include "http/router.h"

namespace cellar::api {

// The dashboard's files, which are part of the program. They hold nothing of anybody: what they
// show they ask the API for, with the key that the visitor gives them; so nobody needs one to get
// them.
//
// Answers GET and HEAD of `name`, "index.html" or "assets/…": compressed for who takes that, 304
// for who has it. Throws Error `not_found`, reason `asset_not_found`.
http::Response dashboard_file(const http::Request& request, std::string_view name);

// Lets them be served at "/" and "/assets/…", to whoever asks.
void add_dashboard_routes(http::Router& router);

// Whether a field Accept-Encoding lists gzip, and not with the weight 0.
bool takes_gzip(std::string_view accept_encoding);

}  // namespace cellar::api
