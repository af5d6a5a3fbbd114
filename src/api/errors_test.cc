#include "api/errors.h"

#include <doctest/doctest.h>

#include <array>

#include "json/json.h"

namespace cellar::api {

TEST_CASE("every code has the status that clients react to") {
  constexpr std::array kTable = {
      std::pair(ErrorCode::invalid_argument, 400), std::pair(ErrorCode::unauthenticated, 401),
      std::pair(ErrorCode::not_found, 404),        std::pair(ErrorCode::already_exists, 409),
      std::pair(ErrorCode::conflict, 409),         std::pair(ErrorCode::too_large, 413),
      std::pair(ErrorCode::exhausted, 507),        std::pair(ErrorCode::unavailable, 503),
      std::pair(ErrorCode::canceled, 503),         std::pair(ErrorCode::timed_out, 504),
      std::pair(ErrorCode::corrupt, 500),          std::pair(ErrorCode::internal, 500)};
  for (const auto& [code, status] : kTable) CHECK(status_of(Error(code, "x")) == status);
  CHECK(status_of(Error(ErrorCode::invalid_argument, "method_not_allowed", "x")) == 405);
  CHECK(status_of(Error(ErrorCode::invalid_argument, "origin_refused", "x")) == 403);
  CHECK(status_of(Error(ErrorCode::conflict, "precondition_failed", "x")) == 412);
  CHECK(status_of(Error(ErrorCode::invalid_argument, "range_not_satisfiable", "x")) == 416);
  CHECK(status_of(Error(ErrorCode::unauthenticated, "missing_scope", "x")) == 403);
  CHECK(status_of(Error(ErrorCode::unauthenticated, "key_required", "x")) == 403);
}

TEST_CASE("an error's body is for people and for programs") {
  const Error error(ErrorCode::not_found, "cell_not_found", "no cell \"x\"", "create it");
  const json::Value body = json::parse(error_body(error, "req_1"));
  CHECK(body.find("error")->as_string() == "no cell \"x\"");
  CHECK(body.find("code")->as_string() == "cell_not_found");
  CHECK(body.find("remediation")->as_string() == "create it");
  CHECK(body.find("retryable")->as_bool() == false);
  CHECK(body.find("request_id")->as_string() == "req_1");
  CHECK(body.find("status") == nullptr);
  CHECK(json::parse(error_in_stream(error, "req_1")).find("status")->as_int() == 404);
  const http::Response busy = error_response(Error(ErrorCode::unavailable, "later"), "req_2");
  CHECK(busy.headers.front() == std::pair<std::string, std::string>("Retry-After", "1"));
}

}  // namespace cellar::api
