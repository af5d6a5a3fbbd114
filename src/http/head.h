#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

// What the fields of a head mean for whoever reads it and passes it on: pure.
namespace cellar::http {

// The fields of a message of the library behind this module, in their order.
template <typename Message>
Fields fields_of(const Message& message) {
  Fields fields;
  for (const auto& field : message) {
    fields.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  return fields;
}

// Refuses a head that two programs could read in two ways, which is how one request is smuggled
// into another: no Host or several, a length that is no number or comes twice, a Transfer-Encoding
// that is anything but "chunked", or has a length beside it, or is HTTP/1.0's; a target that is no
// path. Throws Error `invalid_argument`, reason `ambiguous_request`. `version` is 10 or 11.
void check_head(std::string_view target, const Fields& fields, unsigned version);

// Without what means something between two neighbours only: Connection and what it names (but
// Host), Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade, Content-Length, Expect.
Fields end_to_end(const Fields& fields);

// The first value of a field; empty where there is none. `lower_case_name` as it says.
std::string_view first(const Fields& fields, std::string_view lower_case_name) noexcept;
void remove(Fields& fields, std::string_view lower_case_name);

// A piece of a chunked body; the last one, where `bytes` is empty.
std::string chunk_of(std::string bytes);
// What stands before and behind the bytes of such a piece.
std::string chunk_start(std::size_t bytes);
inline constexpr std::string_view kChunkEnd = "\r\n";

// What the client wants to go on with: "websocket". Empty where it wants nothing else, several
// things, or HTTP/2: more requests would come that nobody looks at.
std::string upgrade_of(const Fields& fields);

// Refuses a head that asks for a WebSocket and has not version 13 and one key of 16 bytes. Throws
// Error `invalid_argument`, reason `invalid_header`.
void check_web_socket(const Fields& fields);

// The answer to what no handler gets to see, in the form of all errors of the API. What it says
// must need no escape.
Response refusal(int status, std::string_view code, std::string_view text);

}  // namespace cellar::http
