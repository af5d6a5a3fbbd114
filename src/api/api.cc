#include "api/api.h"

#include <algorithm>
#include <cctype>

#include "api/dashboard.h"
#include "api/docs.h"
#include "api/errors.h"
#include "api/views.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/nearest.h"
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

// The id in a path, for the audit log; what cannot be one is left out.
std::string target_in(const http::PathParams& params) {
  constexpr std::size_t kTargetMax = 128;
  for (const char* name : {"id", "key", "domain"}) {
    const auto found = params.find(name);
    if (found == params.end()) continue;
    const std::string& target = found->second;
    const bool is_fit = target.size() <= kTargetMax && is_valid_utf8(target);
    const bool is_secret = target.starts_with(cell::kSecretStart) || is_cell_token(target);
    return is_fit && !is_secret ? target : "?";
  }
  return {};
}

void refuse_unknown(const std::map<std::string, std::string, std::less<>>& query,
                    const std::vector<std::string>& names) {
  for (const auto& [name, value] : query) {
    if (name == kTokenQuery || std::find(names.begin(), names.end(), name) != names.end()) continue;
    const UnknownName unknown = describe_unknown(name, names);
    throw Error(ErrorCode::invalid_argument, "invalid_query",
                "the query has the unknown name \"" + unknown.shown + "\"", unknown.remedy);
  }
}

// The names in the query that a path or an operation of the description has.
void add_query_names(std::vector<std::string>& names, const json::Value& document,
                     const json::Value& described) {
  const json::Value* parameters = described.find("parameters");
  if (parameters == nullptr) return;
  for (const json::Value& listed : parameters->as_array()) {
    const json::Value* parameter = &listed;
    if (const json::Value* link = listed.find("$ref")) {
      const std::string& path = link->as_string();
      const json::Value* shared = document.find("components")->find("parameters");
      parameter = shared->find(path.substr(path.rfind('/') + 1));
    }
    if (parameter->find("in")->as_string() != "query") continue;
    names.push_back(parameter->find("name")->as_string());
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

Api::Api(cell::Supervisor& supervisor, AuditLog& audit, PreviewDomain preview_domain,
         SigningKey key, std::vector<std::string> cors_origins, Https https)
    : supervisor_(supervisor),
      audit_(audit),
      preview_domain_(std::move(preview_domain)),
      key_(std::move(key)),
      signer_(key_),
      cors_origins_(std::move(cors_origins)),
      https_(https),
      mcp_([this](http::Exchange& exchange) { return handle(exchange); }) {
  name_operations();
  add_dashboard_routes(router_);
  add_docs_routes(router_);
  add_daemon_routes();
  add_cell_routes();
  add_state_routes();
  add("POST", "/mcp", [this](const Call& call) { return mcp_.handle(call); }, cell::Scope::read);
  for (auto routes :
       {file_routes(), checkpoint_routes(), exec_routes(), event_routes(), process_routes(),
        search_routes(), run_routes(), agent_routes(), network_routes(), llm_routes(),
        preview_routes(preview_domain_, signer_), domain_routes(preview_domain_, https_),
        key_routes(), token_routes(key_), audit_routes(audit_)}) {
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
  Asked asked;
  asked.pattern = pattern;
  asked.is_change =
      needed == cell::Scope::write || (needed == cell::Scope::admin && method != "GET");
  std::string described = method + " " + asked.pattern;
  const std::size_t dots = described.find("...");
  if (dots != described.npos) described.erase(dots, 3);
  if (described.ends_with('/')) described.pop_back();
  const auto operation = operations_.find(described);
  CELLAR_CHECK(operation != operations_.end());  // A route that nobody described.
  asked.operation = operation->second.id;
  const std::vector<std::string>& query = operation->second.query;
  auto authenticated =
      [this, needed, tokens, &query, asked = std::move(asked), handler = std::move(handler)](
          http::Exchange& exchange, http::PathParams params) -> asio::awaitable<void> {
    auto& observed = static_cast<ObservedExchange&>(exchange);  // As handle() gives it.
    observed.asked = asked;
    observed.asked.target = target_in(params);
    const std::string request_id = params.at("request_id");
    authenticate(observed, params, needed, tokens);
    refuse_unknown(exchange.request().query, query);
    if (asked.is_change) audit_.require_room();
    cell::Supervisor::CellPtr held;  // It stays open meanwhile.
    if (const auto id = params.find("id"); id != params.end()) {
      std::string cell_id = id->second;
      held = co_await supervisor_.ready(std::move(cell_id));
    }
    const Asked& known = observed.asked;
    const Call call{.exchange = exchange,
                    .params = std::move(params),
                    .owner = known.owner,
                    .request_id = request_id,
                    .supervisor = supervisor_,
                    .key_id = known.key_id,
                    .may_go_on = known.may_go_on,
                    .target = &observed.asked.target,
                    .run = &observed.asked.run,
                    .until = known.until};
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
  auto describe = [](http::Exchange& exchange, http::PathParams) -> asio::awaitable<void> {
    http::Response response;
    response.body = std::string(description::kFiles[0].contents);
    co_await exchange.respond(std::move(response));
  };
  for (const char* method : {"GET", "HEAD"}) {
    router_.add(method, "/healthz", health);
    router_.add(method, "/openapi.json", describe);
  }
  add(
      "GET", "/metrics", [this](const Call& call) { return tell_metrics(call, measures_, https_); },
      cell::Scope::metrics);
  auto reload = [this](const Call& call) -> asio::awaitable<void> {
    if (!reload_) throw Error(ErrorCode::not_found, "no_such_path", "nothing is to be reloaded");
    json::Value changes = co_await reload_();
    co_await call.answer(std::move(changes));
  };
  add("POST", "/api/v1/reload", reload, cell::Scope::admin);
}

// Notes who asks. Throws Error `unauthenticated`, which is 401, or 403 for one who may not.
void Api::authenticate(ObservedExchange& exchange, const http::PathParams& params,
                       cell::Scope scope, Tokens tokens) {
  const std::string secret = credential_of(exchange.request());
  Asked& asked = exchange.asked;
  if (is_cell_token(secret)) {
    admit_token(secret, params, scope, tokens, asked);
    return;
  }
  const cell::Key* key = secret.empty() ? nullptr : supervisor_.use_key(secret);
  if (key == nullptr) {
    throw Error(ErrorCode::unauthenticated, "unauthenticated", "the API key is missing or wrong",
                "send it as \"Authorization: Bearer KEY\"");
  }
  asked.key_id = key->id;
  asked.owner = key->owner_id;
  asked.via = "key";
  asked.may_go_on = [this, id = key->id] { return supervisor_.has_key(id); };
  asked.until = key->expires_at;
  require_scope(*key, scope);
}

void Api::admit_token(const std::string& text, const http::PathParams& params, cell::Scope scope,
                      Tokens tokens, Asked& asked) {
  asked.via = "token";
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
  asked.key_id = key->id;
  asked.owner = key->owner_id;
  asked.may_go_on = [this, id = key->id, until = token->expires_at] {
    return wall_now() < until && supervisor_.has_key(id);
  };
  asked.until = std::min(token->expires_at, key->expires_at.value_or(token->expires_at));
  if (token->scope == cell::Scope::read && scope != cell::Scope::read) {
    throw Error(ErrorCode::unauthenticated, "missing_scope",
                "the token has not the scope " + std::string(name_of(scope)) + " (it has read)",
                "make one with the scope " + std::string(name_of(scope)));
  }
  require_scope(*key, scope);
}

asio::awaitable<void> Api::handle(http::Exchange& exchange) {
  ObservedExchange observed(exchange, measures_.open,
                            cors_fields(cors_origins_, exchange.request()));
  const std::string request_id = "req_" + random_hex(8);
  observed.on_answer = [this, &observed, &request_id] { note(observed, request_id); };
  struct Counted {
    Api& api;
    const ObservedExchange& exchange;
    const std::string& request_id;
    ~Counted() {
      api.measures_.count(exchange.request().method, exchange.asked.pattern, exchange.status(),
                          exchange.took());
      if (exchange.status() == 0) api.note(exchange, request_id);
      const Asked& asked = exchange.asked;
      const bool is_of_cell = asked.pattern.starts_with("/api/v1/cells/{id}");
      const log::Field target{is_of_cell ? "cell" : "target", asked.target};
      log::debug("{} {} {} {}: {} in {} us", log::request(request_id), exchange.request().method,
                 asked.pattern, target, exchange.status(), exchange.took().count() / 1000);
    }
  } const counted{*this, observed, request_id};
  if (auto leave = preflight(cors_origins_, exchange.request())) {
    co_await observed.respond(std::move(*leave));
    co_return;
  }
  co_await answer(observed, request_id);
}

// What changed something, or was refused.
void Api::note(const ObservedExchange& exchange, const std::string& request_id) {
  const Asked& asked = exchange.asked;
  const int status = exchange.status();
  const bool is_refusal = status == 401 || status == 403;
  if (!asked.is_change && !is_refusal) return;
  const bool has_left = !is_refusal && exchange.is_client_gone();
  audit::Entry entry{.at = wall_now(),
                     .key_id = asked.key_id,
                     .owner = asked.owner,
                     .via = asked.via,
                     .operation = asked.operation,
                     .target = asked.target,
                     .from = exchange.client_address(),
                     .status = has_left ? 0 : status,
                     .code = asked.code,
                     .request_id = request_id};
  audit_.note(std::move(entry));
}

// By the API's description, which says it for everybody else, too.
void Api::name_operations() {
  const json::Value document = json::parse(description::kFiles[0].contents);
  for (const auto& [path, item] : document.find("paths")->as_object()) {
    for (const auto& [method, operation] : item.as_object()) {
      const json::Value* id = operation.is_object() ? operation.find("operationId") : nullptr;
      if (id == nullptr) continue;
      Operation known{.id = id->as_string(), .query = {}};
      add_query_names(known.query, document, item);
      add_query_names(known.query, document, operation);
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      operations_[upper + " " + std::string(path)] = std::move(known);
    }
  }
}

asio::awaitable<void> Api::answer(ObservedExchange& exchange, const std::string& request_id) {
  std::exception_ptr failure;
  try {
    co_await dispatch(exchange, request_id);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  const bool has_client = cancellation.cancelled() == asio::cancellation_type::none;
  Error error = to_error(failure);
  if (is_cancellation(failure)) {
    if (!has_client || exchange.has_answered()) std::rethrow_exception(failure);
    error = ended_meanwhile();
  }
  const bool is_over =
      error.reason() == key_ended().reason() || error.reason() == http::kAnswersFull;
  if (is_over && exchange.has_answered()) {
    std::string reason = ": " + error.reason() + ": " + error.what() + "\n\n";
    if (exchange.is_event_stream()) co_await exchange.send_reason(std::move(reason));
    throw Error(ErrorCode::canceled, error.what());
  }
  if (exchange.has_answered()) std::rethrow_exception(failure);
  const int status = status_of(error);
  if (status >= 500) {
    log::warning("{} {} {}: {}", log::request(request_id), exchange.request().method,
                 exchange.request().path, error.what());
  }
  exchange.asked.code = error.reason();
  http::Response response = error_response(error, request_id);
  if (!exchange.asked.run.empty()) response.headers.emplace_back(kRunHeader, exchange.asked.run);
  co_await exchange.respond(std::move(response));
}

asio::awaitable<void> Api::dispatch(ObservedExchange& exchange, const std::string& request_id) {
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
    const Error error(ErrorCode::invalid_argument, "method_not_allowed",
                      request.method + " is not served at " + request.path, "use " + allowed);
    exchange.asked.code = error.reason();
    http::Response response = error_response(error, request_id);
    response.headers.emplace_back("Allow", allowed);
    co_await exchange.respond(std::move(response));
    co_return;
  }
  exchange.asked.pattern = std::move(match.pattern);
  match.params["request_id"] = request_id;
  co_await (*match.handler)(exchange, std::move(match.params));
}

}  // namespace cellar::api
