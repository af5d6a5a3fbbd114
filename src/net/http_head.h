#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "net/peeked_name.h"
#include "net/request_body.h"

namespace cellar::net {

// In their order, names as they came. Views into the bytes that were read.
using HeadLines = std::vector<std::pair<std::string_view, std::string_view>>;

// The head of an HTTP/1 request, taken apart. Views, too.
struct HttpHead {
  std::string_view method;
  std::string_view target;
  std::string_view version;  // "HTTP/1.1" or "HTTP/1.0"
  HeadLines headers;
};

// The same of an answer.
struct HttpAnswer {
  std::string_view version;
  int status = 0;
  std::string_view reason;
  HeadLines headers;
};

// Whether it may be the name of a header, or a method.
bool is_http_token(std::string_view text);

// How much of `bytes` is a head, its empty line included; 0 where that is not here yet.
std::size_t http_head_size(std::string_view bytes);
// Whether what is no whole head may become one.
bool may_become_http_head(std::string_view bytes);

// Strict, so that no server reads another request out of the same bytes: line ends are CRLF, no
// folded lines, no space before a colon, no control characters. nullopt for all else.
std::optional<HttpHead> read_http_head(std::string_view bytes);
std::optional<HttpAnswer> read_http_answer(std::string_view bytes);

// How long the body is that follows, as a head says it.
struct BodyLength {
  bool is_ambiguous = false;  // said twice, or in a way that two programs may read differently
  bool is_said = false;       // where not: no body of a request, one up to the end of an answer
  bool is_counted = false;    // said as a number of bytes
  RequestBody body = {};
};
BodyLength read_body_length(const HeadLines& headers, std::string_view version);

// What is sent on: without what is for a neighbour only (Connection and what it names, Upgrade,
// Keep-Alive, Proxy-*, TE). The length of the body stays. nullopt where Connection names a header
// that the other side needs: Host, or what says that length.
std::optional<HeadLines> end_to_end(const HeadLines& headers);

// The name in "example.com:8080": found; an address or "": none.
PeekedName read_http_authority(std::string_view text);

}  // namespace cellar::net
