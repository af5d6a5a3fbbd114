#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "api/call.h"
#include "cell/supervisor.h"
#include "http/router.h"

namespace cellar::api {

// The HTTP face of a supervisor: docs/api/openapi.yaml says what it serves. Loop thread only.
class Api {
 public:
  // `supervisor` must outlive it. `preview_domain` may be empty.
  Api(cell::Supervisor& supervisor, std::string preview_domain);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Answers one request, whatever it is; only cancellation escapes.
  asio::awaitable<void> handle(http::Exchange& exchange);

  // "GET /api/v1/cells", …
  std::vector<std::string> routes() const { return router_.routes(); }

 private:
  using Handler = std::function<asio::awaitable<void>(const Call&)>;

  // A route for holders of a key.
  void add(std::string method, std::string_view pattern, Handler handler);
  void add_daemon_routes();
  void add_cell_routes();
  void add_state_routes();
  asio::awaitable<void> dispatch(http::Exchange& exchange, const std::string& request_id);
  asio::awaitable<std::string> authenticate(const http::Request& request);

  cell::Supervisor& supervisor_;
  std::string preview_domain_;
  http::Router router_;
};

// Handlers by resource; each file adds its routes through these.
struct Route {
  std::string method;
  std::string pattern;
  std::function<asio::awaitable<void>(const Call&)> handler;
};
std::vector<Route> file_routes();
std::vector<Route> exec_routes();
std::vector<Route> event_routes();
std::vector<Route> process_routes();
std::vector<Route> search_routes();
std::vector<Route> run_routes();
std::vector<Route> agent_routes();

}  // namespace cellar::api
