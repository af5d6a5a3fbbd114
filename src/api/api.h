#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "api/audit_log.h"
#include "api/call.h"
#include "api/cell_token.h"
#include "api/cors.h"
#include "api/mcp.h"
#include "api/preview_access.h"
#include "api/preview_address.h"
#include "api/request_measures.h"
#include "cell/supervisor.h"
#include "http/router.h"

namespace cellar::certificates {
class Certificates;
class Orders;
}  // namespace cellar::certificates

namespace cellar::api {

// Whether a token for one cell may be used there, too: not where more than its cell is given away,
// or for longer than it lasts itself.
enum class Tokens : std::uint8_t { taken, refused };

// What TLS is served with; null: the daemon speaks none, and has no program that gets certificates.
struct Https {
  certificates::Certificates* certificates = nullptr;
  certificates::Orders* orders = nullptr;
};

// The HTTP face of a supervisor: docs/api/openapi.yaml says what it serves. Loop thread only.
class Api {
 public:
  // `supervisor` must outlive it. `key` signs preview links and tokens; pages of `cors_origins`,
  // which have passed check_origin(), may ask.
  // What changes something is noted in `audit`, which must outlive it, too.
  Api(cell::Supervisor& supervisor, AuditLog& audit, PreviewDomain preview_domain, SigningKey key,
      std::vector<std::string> cors_origins, Https https = {});
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Answers one request, whatever it is; only cancellation escapes.
  asio::awaitable<void> handle(http::Exchange& exchange);

  // How POST /api/v1/reload is answered; none: 404.
  using Reload = std::function<asio::awaitable<json::Value>()>;
  void on_reload(Reload reload) { reload_ = std::move(reload); }
  // As of the constructor, from now on.
  void set_cors_origins(std::vector<std::string> origins) { cors_origins_ = std::move(origins); }

  // "GET /api/v1/cells", …
  std::vector<std::string> routes() const { return router_.routes(); }

 private:
  using Handler = std::function<asio::awaitable<void>(const Call&)>;

  // A route for holders of a key with that scope; nullopt: as usual_scope().
  void add(std::string method, std::string_view pattern, Handler handler,
           std::optional<cell::Scope> scope = std::nullopt, Tokens tokens = Tokens::taken);
  void add_daemon_routes();
  void add_cell_routes();
  void add_state_routes();
  asio::awaitable<void> answer(ObservedExchange& exchange, const std::string& request_id);
  asio::awaitable<void> dispatch(ObservedExchange& exchange, const std::string& request_id);
  void note(const ObservedExchange& exchange, const std::string& request_id);
  void name_operations();
  void authenticate(ObservedExchange& exchange, const http::PathParams& params, cell::Scope scope,
                    Tokens tokens);
  void admit_token(const std::string& text, const http::PathParams& params, cell::Scope scope,
                   Tokens tokens, Asked& asked);

  cell::Supervisor& supervisor_;
  AuditLog& audit_;
  struct Operation {
    std::string id;
    std::vector<std::string> query;  // the names that it takes
  };
  std::map<std::string, Operation, std::less<>> operations_;  // by "GET /healthz"
  PreviewDomain preview_domain_;
  SigningKey key_;
  PreviewSigner signer_;  // of preview links
  std::vector<std::string> cors_origins_;
  Reload reload_;
  Https https_;  // outlives it
  RequestMeasures measures_;
  http::Router router_;
  Mcp mcp_;
};

// GET and HEAD read, all else writes.
cell::Scope usual_scope(std::string_view method) noexcept;

// Throws Error, which is 403: `key` is not good for that.
void require_scope(const cell::Key& key, cell::Scope scope);

// Handlers by resource; each file adds its routes through these.
struct Route {
  std::string method;
  std::string pattern;
  std::function<asio::awaitable<void>(const Call&)> handler;
  std::optional<cell::Scope> scope = std::nullopt;  // nullopt: as usual_scope()
  Tokens tokens = Tokens::taken;                    // of a route with {id}; others take none
};
std::vector<Route> key_routes();
std::vector<Route> audit_routes(AuditLog& log);
std::vector<Route> token_routes(const SigningKey& key);
std::vector<Route> file_routes();
std::vector<Route> checkpoint_routes();
std::vector<Route> exec_routes();
std::vector<Route> event_routes();
std::vector<Route> process_routes();
std::vector<Route> search_routes();
std::vector<Route> run_routes();
std::vector<Route> agent_routes();
std::vector<Route> domain_routes(const PreviewDomain& previews, const Https& https);
std::vector<Route> preview_routes(const PreviewDomain& domain, const PreviewSigner& signer);
std::vector<Route> network_routes();
std::vector<Route> llm_routes();

// Answers POST …/request: calls a method of the cell's agent. A visitor of a preview, who may be
// anybody, calls nothing but that, with a small body.
enum class Caller : std::uint8_t { owner, visitor };
asio::awaitable<void> request_agent(const Call& call, Caller caller);

}  // namespace cellar::api
