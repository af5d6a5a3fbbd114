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

// The key of "Authorization: Bearer KEY" or "X-API-Key: KEY".
std::string key_of(const http::Request& request) {
  if (const std::string* header = request.header("authorization")) {
    constexpr std::string_view kScheme = "bearer ";
    if (to_lower_ascii(header->substr(0, kScheme.size())) == kScheme) {
      return std::string(trim(std::string_view(*header).substr(kScheme.size())));
    }
  }
  const std::string* key = request.header("x-api-key");
  return key != nullptr ? std::string(trim(*key)) : std::string();
}

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

Api::Api(cell::Supervisor& supervisor, PreviewDomain preview_domain, PreviewSigner signer)
    : supervisor_(supervisor),
      preview_domain_(std::move(preview_domain)),
      signer_(std::move(signer)),
      mcp_([this](http::Exchange& exchange) { return handle(exchange); }) {
  add_dashboard_routes(router_);
  add_daemon_routes();
  add_cell_routes();
  add_state_routes();
  add("POST", "/mcp", [this](const Call& call) { return mcp_.handle(call); }, cell::Scope::read);
  for (auto routes :
       {file_routes(), exec_routes(), event_routes(), process_routes(), search_routes(),
        run_routes(), agent_routes(), network_routes(), preview_routes(preview_domain_, signer_),
        domain_routes(preview_domain_), key_routes()}) {
    for (Route& route : routes) {
      add(route.method, route.pattern, std::move(route.handler), route.scope);
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
              std::optional<cell::Scope> scope) {
  const cell::Scope needed = scope.value_or(usual_scope(method));
  auto authenticated = [this, needed, handler = std::move(handler)](
                           http::Exchange& exchange,
                           http::PathParams params) -> asio::awaitable<void> {
    const std::string request_id = params.at("request_id");
    std::string owner = authenticate(exchange.request(), needed);
    if (const auto id = params.find("id"); id != params.end()) {
      std::string cell_id = id->second;
      co_await supervisor_.ready(std::move(cell_id));
    }
    const Call call{exchange, std::move(params), std::move(owner), request_id, supervisor_};
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

// The owner of the request's key. Throws Error `unauthenticated`.
std::string Api::authenticate(const http::Request& request, cell::Scope scope) {
  const std::string secret = key_of(request);
  const cell::Key* key = secret.empty() ? nullptr : supervisor_.use_key(secret);
  if (key == nullptr) {
    throw Error(ErrorCode::unauthenticated, "unauthenticated", "the API key is missing or wrong",
                "send it as \"Authorization: Bearer KEY\"");
  }
  require_scope(*key, scope);
  return key->owner_id;
}

asio::awaitable<void> Api::handle(http::Exchange& exchange) {
  ObservedExchange observed(exchange, measures_.open);
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
