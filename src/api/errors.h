#pragma once

#include <string>

#include "base/error.h"
#include "http/message.h"

namespace cellar::api {

// The HTTP status of an error: this table and no other.
int status_of(const Error& error) noexcept;

// What a call waited for was canceled, and its client is still there.
Error ended_meanwhile();

// The body that every error has: {error, code, remediation?, retryable, request_id}.
std::string error_body(const Error& error, const std::string& request_id);
// The same in a stream that has begun: with the `status` that it would have had as an answer.
std::string error_in_stream(const Error& error, const std::string& request_id);
http::Response error_response(const Error& error, const std::string& request_id);

}  // namespace cellar::api
