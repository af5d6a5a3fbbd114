#include "api/dashboard.h"

#include <algorithm>
#include <string>

#include "api/conditions.h"
#include "api/preview_files.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "cellar_api_dashboard_files.h"

namespace cellar::api {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kAssetFolder = "assets/";

// Nothing from elsewhere, no inline script, in no frame: what a cell's files or output hold is text
// on these pages, and stays text. The editor and the terminal make their styles as they run.
constexpr std::string_view kPagePolicy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const dashboard::EmbeddedFile* find_page_file(std::string_view name) {
  const auto& files = dashboard::kFiles;
  const auto found = std::find_if(files.begin(), files.end(),
                                  [name](const auto& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

std::string_view sent_field(const http::Request& request, std::string_view name) {
  const std::string* value = request.header(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

}  // namespace

void add_dashboard_routes(http::Router& router) {
  auto show = [](http::Exchange& exchange, http::PathParams params) -> asio::awaitable<void> {
    const auto asset = params.find("asset");
    const std::string name =
        asset == params.end() ? "index.html" : std::string(kAssetFolder) + asset->second;
    http::Response response = dashboard_file(exchange.request(), name);
    co_await exchange.respond(std::move(response));
  };
  for (const char* method : {"GET", "HEAD"}) {
    router.add(method, "/", show);
    router.add(method, "/assets/{asset}", show);
  }
}

bool takes_gzip(std::string_view accept_encoding) {
  for (const std::string_view entry : split(accept_encoding, ',')) {
    const std::size_t end = std::min(entry.find(';'), entry.size());
    if (to_lower_ascii(trim(entry.substr(0, end))) != "gzip") continue;
    const std::string_view weight = trim(entry.substr(end));
    return weight.find_first_of("123456789") != weight.npos || weight.empty();
  }
  return false;
}

http::Response dashboard_file(const http::Request& request, std::string_view name) {
  const dashboard::EmbeddedFile* file = find_page_file(name);
  if (file == nullptr) {
    throw Error(ErrorCode::not_found, "asset_not_found",
                "the dashboard of this build has no file " + std::string(name),
                "load the dashboard at / again: the daemon was replaced by another build");
  }
  http::Response response;
  response.content_type = std::string(content_type_of(name));
  const dashboard::EmbeddedFile* small = find_page_file(std::string(name) + ".gz");
  const bool as_gzip = small != nullptr && takes_gzip(sent_field(request, "accept-encoding"));
  const std::string_view contents = as_gzip ? small->contents : file->contents;
  const bool is_named_by_hash = name.starts_with(kAssetFolder);
  const std::string said = is_named_by_hash ? std::string(as_gzip ? small->name : file->name)
                                            : sha256_hex(contents).substr(0, 16);
  const std::string tag = "\"" + said + "\"";
  response.headers = {
      {"ETag", tag},
      {"Cache-Control", is_named_by_hash ? "public, max-age=31536000, immutable" : "no-cache"},
      {"Vary", "Accept-Encoding"},
      {"Content-Security-Policy", std::string(kPagePolicy)},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Content-Type-Options", "nosniff"}};
  if (names_tag(sent_field(request, "if-none-match"), tag)) {
    response.status = 304;
    return response;
  }
  if (as_gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.body = std::string(contents);
  return response;
}

}  // namespace cellar::api
