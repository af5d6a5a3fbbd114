#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "net/peeked_name.h"
#include "net/request_body.h"

namespace cellar::net {

// What a client asks of a proxy: "CONNECT host:port", or "GET http://host:port/path".
struct ProxyRequest {
  bool is_connect = false;
  std::string host;  // normal name (name.h) or address, without brackets
  std::uint16_t port = 0;
  // Of what is no CONNECT: the head to send to the host, for this request only, and what follows.
  std::string head = {};
  RequestBody body = {};
};

// Why a request is none, for the person who reads it.
struct BadProxyRequest {
  std::string text;
};

// `found` once the whole head is here, whatever it says; `name` is empty.
PeekedName peek_proxy_head(std::string_view bytes);

// Reads the head that `bytes` begin with and that is whole. Strict, so that no server sees another
// request in the bytes that are sent on: see peek_http_host(); and the body has one length only,
// no header that says how long it is is taken away. The head sent on says "Connection: close" and
// has none of the headers that are for the proxy. Never throws and never reads past `bytes`.
std::variant<ProxyRequest, BadProxyRequest> read_proxy_request(std::string_view bytes);

}  // namespace cellar::net
