#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "api/preview_access.h"
#include "api/preview_address.h"
#include "cell/supervisor.h"
#include "http/exchange.h"
#include "http/relay.h"

namespace cellar::api {

namespace asio = boost::asio;

// What of a cell's preview everybody has to agree upon.
struct PreviewOptions {
  PreviewDomain domain;
  PreviewSigner signer;
  // Addresses of reverse proxies, whose X-Forwarded-For and -Proto are believed.
  std::vector<std::string> trusted_proxies;
  std::size_t connections_max = 256;  // of one cell at a time, idle ones between requests left out
  std::chrono::milliseconds connect_limit{5000};
  http::RelayLimits relay;
};

// Serves what runs in cells, or their files, to browsers: docs/guide/preview.md. Loop thread only.
class Preview {
 public:
  // As of the constructor, from now on.
  void set_trusted_proxies(std::vector<std::string> addresses) {
    options_.trusted_proxies = std::move(addresses);
  }
  // `supervisor` must outlive it.
  Preview(cell::Supervisor& supervisor, PreviewOptions options);
  Preview(const Preview&) = delete;
  Preview& operator=(const Preview&) = delete;

  // Whether a request is for a preview. Whatever else it asks for, the API does not see it.
  bool takes(const http::Request& request) const;
  // Answers one that is; only cancellation escapes.
  asio::awaitable<void> handle(http::Exchange& exchange);

 private:
  struct Visit;
  PreviewPlace place_of(const http::Request& request) const;
  asio::awaitable<void> serve(http::Exchange& exchange, const PreviewPlace& place,
                              const std::string& request_id);
  // Returns whether the visitor may go on; else they were sent to the clean address. Throws Error
  // `unauthenticated`.
  asio::awaitable<bool> admit(Visit& visit);
  asio::awaitable<void> enter(Visit& visit);
  asio::awaitable<void> relay(Visit& visit, cell::Cell::Door door);
  asio::awaitable<void> call_agent(Visit& visit);
  http::RelayRequest request_inside(const Visit& visit) const;
  // Whether a page of the dashboard is asked for under a name that a customer has not proven yet.
  bool is_unproven(const http::Request& request) const;
  std::optional<std::string> owned_cell(const std::string& host) const;
  // What the visitor's browser speaks: "https".
  std::string scheme_of(const Visit& visit) const;
  bool is_by_trusted_proxy(const Visit& visit) const;
  // Of the visitor, and of the proxies on the way here.
  std::string addresses_of(const Visit& visit) const;

  cell::Supervisor& supervisor_;
  PreviewOptions options_;
  std::map<std::string, std::size_t> connections_;  // by cell id
};

}  // namespace cellar::api
