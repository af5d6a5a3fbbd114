#pragma once

#include <string_view>

#include "http/router.h"

namespace cellar::api {

// The documentation of this build, which is part of the program and nobody's secret.
//
// `path` is "/docs" (the reference of the API, a page that needs nothing else), "/llms.txt" (a list
// of the guide's pages) or one of those that it lists. Throws Error `not_found`, reason
// `no_such_page`.
http::Response document(std::string_view path);

// Lets them be served, to whoever asks.
void add_docs_routes(http::Router& router);

}  // namespace cellar::api
