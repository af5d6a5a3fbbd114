#include "api/docs.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "cellar_api_documents_files.h"
#include "cellar_api_reference_files.h"

namespace cellar::api {

namespace asio = boost::asio;

namespace {

std::string_view type_of_document(std::string_view name) noexcept {
  return name.ends_with(".md") ? "text/markdown; charset=utf-8" : "text/plain; charset=utf-8";
}

}  // namespace

http::Response document(std::string_view path) {
  http::Response response;
  response.headers = {{"Cache-Control", "no-cache"},
                      {"Content-Security-Policy",
                       "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
                      {"X-Content-Type-Options", "nosniff"}};
  if (path == "/docs" || path == "/docs/") {
    response.content_type = "text/html; charset=utf-8";
    response.body = std::string(reference::kFiles[0].contents);
    return response;
  }
  const auto& files = documents::kFiles;
  const auto found = std::find_if(files.begin(), files.end(),
                                  [path](const auto& file) { return path.substr(1) == file.name; });
  if (found == files.end()) {
    throw Error(ErrorCode::not_found, "no_such_page",
                "there is no page " + std::string(path) + " in this build",
                "GET /llms.txt lists the pages, /docs is the reference of the API");
  }
  response.content_type = std::string(type_of_document(found->name));
  response.body = std::string(found->contents);
  return response;
}

void add_docs_routes(http::Router& router) {
  auto show = [](http::Exchange& exchange, http::PathParams) -> asio::awaitable<void> {
    http::Response response = document(exchange.request().path);
    co_await exchange.respond(std::move(response));
  };
  for (const char* method : {"GET", "HEAD"}) {
    for (const char* path : {"/llms.txt", "/docs", "/docs/", "/docs/{page...}"}) {
      router.add(method, path, show);
    }
  }
}

}  // namespace cellar::api
