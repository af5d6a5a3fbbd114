#include "api/errors.h"

#include "http/exchange.h"
#include "json/json.h"

namespace cellar::api {

namespace {

// What has no room for its answer was done.
bool may_be_repeated(const Error& error) noexcept {
  return error.retryable() && error.reason() != http::kAnswersFull;
}

}  // namespace

int status_of(const Error& error) noexcept {
  if (error.reason() == "method_not_allowed") return 405;
  if (error.reason() == "origin_refused") return 403;
  if (error.reason() == "precondition_failed") return 412;
  if (error.reason() == "range_not_satisfiable") return 416;
  if (error.reason() == "missing_scope" || error.reason() == "key_required") return 403;
  if (error.reason() == "method_not_for_visitors") return 403;
  switch (error.code()) {
    case ErrorCode::invalid_argument:
      return 400;
    case ErrorCode::unauthenticated:
      return 401;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::already_exists:
    case ErrorCode::conflict:
      return 409;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::exhausted:
      return 507;
    case ErrorCode::unavailable:
    case ErrorCode::canceled:
      return 503;
    case ErrorCode::timed_out:
      return 504;
    case ErrorCode::corrupt:
    case ErrorCode::internal:
      return 500;
  }
  return 500;
}

Error ended_meanwhile() {
  return Error(ErrorCode::unavailable, "ended_meanwhile",
               "what this waited for was ended: look whether it is still there");
}

namespace {

json::Value error_json(const Error& error, const std::string& request_id) {
  json::Value body = json::object({{"error", error.what()},
                                   {"code", error.reason()},
                                   {"retryable", may_be_repeated(error)},
                                   {"request_id", request_id}});
  if (!error.remediation().empty()) body.as_object().set("remediation", error.remediation());
  return body;
}

}  // namespace

std::string error_body(const Error& error, const std::string& request_id) {
  return json::dump(error_json(error, request_id));
}

std::string error_in_stream(const Error& error, const std::string& request_id) {
  json::Value body = error_json(error, request_id);
  body.as_object().set("status", status_of(error));
  return json::dump(body);
}

http::Response error_response(const Error& error, const std::string& request_id) {
  http::Response response;
  response.status = status_of(error);
  response.body = error_body(error, request_id);
  if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace cellar::api
