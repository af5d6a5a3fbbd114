#include "api/cors.h"

#include <algorithm>

#include "base/error.h"

namespace cellar::api {
namespace {

bool is_origin_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' ||
         c == '[' || c == ']';
}

bool has_leave(const std::vector<std::string>& origins, const http::Request& request) {
  const std::string* origin = request.header("origin");
  return origin != nullptr && std::find(origins.begin(), origins.end(), *origin) != origins.end();
}

}  // namespace

void check_origin(const std::string& origin) {
  const std::string_view rest = origin.starts_with("https://")  ? std::string_view(origin).substr(8)
                                : origin.starts_with("http://") ? std::string_view(origin).substr(7)
                                                                : std::string_view();
  if (!rest.empty() && std::all_of(rest.begin(), rest.end(), is_origin_char)) return;
  throw Error(ErrorCode::invalid_argument, "invalid_option",
              "--cors-origin: \"" + origin + "\" is no origin",
              "write a scheme and a host in lower case, as https://app.example.com");
}

http::Fields cors_fields(const std::vector<std::string>& origins, const http::Request& request) {
  if (origins.empty()) return {};
  http::Fields fields = {{"Vary", "Origin"}};
  if (!has_leave(origins, request)) return fields;
  fields.emplace_back("Access-Control-Allow-Origin", *request.header("origin"));
  fields.emplace_back("Access-Control-Expose-Headers",
                      "Content-Range, ETag, Retry-After, X-Cellar-Run");
  return fields;
}

std::optional<http::Response> preflight(const std::vector<std::string>& origins,
                                        const http::Request& request) {
  const bool is_question = request.method == "OPTIONS" &&
                           request.header("access-control-request-method") != nullptr &&
                           request.path.starts_with("/api/");
  if (!is_question || !has_leave(origins, request)) return std::nullopt;
  http::Response response{.status = 204};
  response.headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"},
                      {"Access-Control-Allow-Headers",
                       "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
                       "Last-Event-ID, Range, "
                       "X-API-Key, X-Customer-ID"},
                      {"Access-Control-Max-Age", "600"}};
  return response;
}

}  // namespace cellar::api
