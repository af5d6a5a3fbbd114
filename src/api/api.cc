#include "api/api.h"

#include "api/dashboard.h"
#include "api/errors.h"
#include "api/views.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "cellar_api_description_files.h"
#include "json/json.h"

namespace cellar::api {
namespace {

// An error of anything below a handler, as the client is told of it.
Error to_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::exhausted, "the daemon is out of memory");
  } catch (const std::exception& error) {
    return Error(ErrorCode::internal, error.what());
  }
}

bool is_cancellation(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == ErrorCode::canceled;
  } catch (const boost::system::system_error&) {
    return true;  // Only the client's own connection throws these up to here.
  } catch (...) {
    return false;
  }
}

}  // namespace

Api::Api(cell::Supervisor& supervisor, PreviewDomain preview_domain, SigningKey key,
         std::vector<std::string> cors_origins)
    : supervisor_(supervisor),
      preview_domain_(std::move(preview_domain)),
      key_(std::move(key)),
      signer_(key_),
      cors_origins_(std::move(cors_origins)),
      mcp_([this](http::Exchange& exchange) { return handle(exchange); }) {
  add_dashboard_routes(router_);
  add_daemon_routes();
  add_cell_routes();
  add_state_routes();
  add("POST", "/mcp", [this](const Call& call) { return mcp_.handle(call); }, cell::Scope::read);
  for (auto routes :
       {file_routes(), exec_routes(), event_routes(), process_routes(), search_routes(),
        run_routes(), agent_routes(), network_routes(), preview_routes(preview_domain_, signer_),
        domain_routes(preview_domain_), key_routes(), token_routes(key_)}) {
    for (Route& route : routes) {
      add(route.method, route.pattern, std::move(route.handler), route.scope, route.tokens);
    }
  }
}

cell::Scope usual_scope(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" ? cell::Scope::read : cell::Scope::write;
}

void require_scope(const cell::Key& key, cell::Scope scope) {
  if (includes(key.scopes, scope)) return;
  const std::string needed(name_of(scope));
  throw Error(ErrorCode::unauthenticated, "missing_scope",
              "the API key \"" + key.name + "\" has not the scope " + needed + " (it has " +
                  key.scopes + ")",
              "use a key with the scope " + needed + "; POST /api/v1/keys makes one");
}

void Api::add(std::string method, std::string_view pattern, Handler handler,
              std::optional<cell::Scope> scope, Tokens tokens) {
  const cell::Scope needed = scope.value_or(usual_scope(method));
  auto authenticated = [this, needed, tokens, handler = std::move(handler)](
                           http::Exchange& exchange,
                           http::PathParams params) -> asio::awaitable<void> {
    const std::string request_id = params.at("request_id");
    Caller caller = authenticate(exchange.request(), params, needed, tokens);
    if (const auto id = params.find("id"); id != params.end()) {
      std::string cell_id = id->second;
      co_await supervisor_.ready(std::move(cell_id));
    }
    const Call call{exchange,   std::move(params), std::move(caller.owner),
                    request_id, supervisor_,       std::move(caller.key_id)};
    co_await handler(call);
  };
  router_.add(std::move(method), pattern, std::move(authenticated));
}

void Api::add_daemon_routes() {
  auto health = [](http::Exchange& exchange, http::PathParams) -> asio::awaitable<void> {
    http::Response response;
    response.body = R"({"status":"ok","version":")" CELLAR_VERSION R"("})";
    co_await exchange.respond(std::move(response));
  };
  router_.add("GET", "/healthz", health);
  auto describe = [](http::Exchange& exchange, http::PathParams) -> asio::awaitable<void> {
    http::Response response;
    response.body = std::string(description::kFiles[0].contents);
    co_await exchange.respond(std::move(response));
  };
  router_.add("GET", "/openapi.json", describe);
  add(
      "GET", "/metrics", [this](const Call& call) { return tell_metrics(call, measures_); },
      cell::Scope::metrics);
}

// Who asks. Throws Error `unauthenticated`, which is 401, or 403 for one who may not.
Api::Caller Api::authenticate(const http::Request& request, const http::PathParams& params,
                              cell::Scope scope, Tokens tokens) {
  const std::string secret = credential_of(request);
  if (is_cell_token(secret)) return admit_token(secret, params, scope, tokens);
  const cell::Key* key = secret.empty() ? nullptr : supervisor_.use_key(secret);
  if (key == nullptr) {
    throw Error(ErrorCode::unauthenticated, "unauthenticated", "the API key is missing or wrong",
                "send it as \"Authorization: Bearer KEY\"");
  }
  require_scope(*key, scope);
  return {key->owner_id, key->id};
}

Api::Caller Api::admit_token(const std::string& text, const http::PathParams& params,
                             cell::Scope scope, Tokens tokens) {
  const auto id = params.find("id");
  if (id == params.end() || tokens == Tokens::refused) {
    throw Error(ErrorCode::unauthenticated, "key_required", "a token does not open this",
                "have it done with a key, by whoever made the token");
  }
  const auto cell = supervisor_.find(id->second);
  std::optional<CellToken> token;
  if (cell) token = read_token(key_, {id->second, cell->spec().created_at}, text);
  const char* kRemedy = "get a new one from whoever has a key (POST /api/v1/cells/{id}/tokens)";
  if (!token) {
    throw Error(ErrorCode::unauthenticated, "token_invalid", "the token is not for this cell",
                kRemedy);
  }
  if (token->expires_at <= wall_now()) {
    throw Error(ErrorCode::unauthenticated, "token_expired",
                "the token expired at " + to_iso8601(token->expires_at), kRemedy);
  }
  const cell::Key* key = supervisor_.key_of_token(token->key_id);
  if (key == nullptr || key->owner_id != cell->spec().owner_id) {
    throw Error(ErrorCode::unauthenticated, "token_invalid",
                "the key that the token was made with is removed or over", kRemedy);
  }
  if (token->scope == cell::Scope::read && scope != cell::Scope::read) {
    throw Error(ErrorCode::unauthenticated, "missing_scope",
                "the token has not the scope " + std::string(name_of(scope)) + " (it has read)",
                "make one with the scope " + std::string(name_of(scope)));
  }
  require_scope(*key, scope);
  return {key->owner_id, key->id};
}

asio::awaitable<void> Api::handle(http::Exchange& exchange) {
  ObservedExchange observed(exchange, measures_.open,
                            cors_fields(cors_origins_, exchange.request()));
  const std::string request_id = "req_" + random_hex(8);
  std::string pattern;
  struct Counted {
    RequestMeasures& measures;
    const ObservedExchange& exchange;
    const std::string& pattern;
    ~Counted() {
      measures.count(exchange.request().method, pattern, exchange.status(), exchange.took());
    }
  } const counted{measures_, observed, pattern};
  if (auto leave = preflight(cors_origins_, exchange.request())) {
    co_await observed.respond(std::move(*leave));
    co_return;
  }
  co_await answer(observed, request_id, pattern);
}

// `pattern` becomes that of the route.
asio::awaitable<void> Api::answer(http::Exchange& exchange, const std::string& request_id,
                                  std::string& pattern) {
  std::exception_ptr failure;
  try {
    co_await dispatch(exchange, request_id, pattern);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (is_cancellation(failure) || exchange.has_answered()) std::rethrow_exception(failure);
  const Error error = to_error(failure);
  const int status = status_of(error);
  if (status >= 500) {
    log::warning("{} {} {}: {}", request_id, exchange.request().method, exchange.request().path,
                 error.what());
  }
  http::Response response = error_response(error, request_id);
  co_await exchange.respond(std::move(response));
}

asio::awaitable<void> Api::dispatch(http::Exchange& exchange, const std::string& request_id,
                                    std::string& pattern) {
  const http::Request& request = exchange.request();
  if (request.has_broken_query) {
    throw Error(ErrorCode::invalid_argument, "invalid_query", "the query has a broken escape");
  }
  http::Router::Match match = router_.match(request.method, request.path);
  if (match.handler == nullptr && match.allowed.empty()) {
    throw Error(ErrorCode::not_found, "no_such_path", "nothing is at " + request.path,
                "GET /openapi.json lists what is served");
  }
  if (match.handler == nullptr) {
    std::string allowed;
    for (const std::string& method : match.allowed) {
      allowed += (allowed.empty() ? "" : ", ") + method;
    }
    throw Error(ErrorCode::invalid_argument, "method_not_allowed",
                request.method + " is not served at " + request.path, "use " + allowed);
  }
  pattern = std::move(match.pattern);
  match.params["request_id"] = request_id;
  co_await (*match.handler)(exchange, std::move(match.params));
}

}  // namespace cellar::api
