#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "net/request_body.h"

namespace cellar::net {

// The head of a request as it is sent on: taken apart strictly and put together anew, so that its
// server reads the one request that was looked at here.
struct RequestHead {
  std::string method;
  std::string target;   // a path, or "*"
  std::string version;  // "HTTP/1.1", "HTTP/1.0"
  std::string host;     // the value of Host
  // Without Host and what is for a neighbour only; what says the body's length is among them.
  std::vector<std::pair<std::string, std::string>> headers;
  RequestBody body;
  bool keeps_alive = true;  // another request may follow
  std::string upgrade;      // "websocket" where the client wants to go on with that; else empty

  // Puts `value` in place of all headers of that name.
  void set(std::string_view name, std::string_view value);
  // "GET / HTTP/1.1\r\n...\r\n\r\n".
  std::string text() const;
};

struct Destination;  // rules.h

// What is wrong with a request, for the person who reads it.
struct BadRequest {
  std::string text;
};

// Reads the head that `bytes` begin with, of a request over a connection to `to`: its Host must be
// that, port included, as must be the URL where the target is one. Never throws.
std::variant<RequestHead, BadRequest> read_request_head(std::string_view bytes,
                                                        const Destination& to);

// The path of a target, for comparison: without the query, with the escapes of letters, digits and
// "-._~" resolved. nullopt where servers may read it in more than one way: "." and ".." in it,
// "//", "\", a broken escape.
std::optional<std::string> plain_path(std::string_view target);

}  // namespace cellar::net
