#include "api/preview.h"

#include <algorithm>
#include <array>
#include <functional>

#include "api/api.h"
#include "api/errors.h"
#include "api/preview_files.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "http/head.h"

namespace cellar::api {
namespace {

// A page below the API's own origin is not of that origin: it reads no cookie and no storage of
// other pages, and the API's answers as little as any foreign site.
constexpr std::string_view kSandbox =
    "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";
// What a cell's server may not say: it would speak for more than its preview. By NEL and Report-To
// a browser would tell it of all requests to the host, other cells' and the API's.
constexpr std::array<std::string_view, 6> kNotSaid = {
    "alt-svc",   "clear-site-data",        "nel",
    "report-to", "service-worker-allowed", "strict-transport-security"};

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else if (c == '"') {
      escaped += "&quot;";
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

http::Response error_page(const Error& error, const std::string& request_id, bool as_html) {
  http::Response response = error_response(error, request_id);
  if (error.reason() == "nothing_listens" || error.reason() == "no_answer") response.status = 502;
  response.headers.emplace_back("Cache-Control", "no-store");
  if (!as_html) return response;
  response.content_type = "text/html; charset=utf-8";
  response.body =
      "<!doctype html><meta charset=\"utf-8\"><title>Preview</title>"
      "<style>body{font:16px/1.5 sans-serif;margin:15vh auto;max-width:36em;"
      "padding:0 1em}</style><h1>No preview</h1><p>" +
      escape_html(error.what()) + "</p><p>" + escape_html(error.remediation()) + "</p><p><small>" +
      escape_html(error.reason()) + " · " + request_id + "</small></p>";
  return response;
}

// The key in the fields that the API takes, and which field it is in.
struct SentKey {
  std::string_view field;  // in lower case
  std::string key;
};

std::vector<SentKey> sent_keys(const http::Fields& fields) {
  std::vector<SentKey> keys;
  const std::string_view given = trim(http::first(fields, "x-api-key"));
  if (!given.empty()) keys.push_back({"x-api-key", std::string(given)});
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view authorization = http::first(fields, "authorization");
  if (to_lower_ascii(authorization.substr(0, kScheme.size())) == kScheme) {
    keys.push_back({"authorization", std::string(trim(authorization.substr(kScheme.size())))});
  }
  return keys;
}

// As a Location: two "/" at its start would name another host.
std::string on_this_host(const std::string& target) {
  return "/" + target.substr(std::min(target.find_first_not_of('/'), target.size()));
}

Error not_invited(std::string reason, const std::string& text) {
  return Error(ErrorCode::unauthenticated, std::move(reason), text,
               "open a link made with POST /api/v1/cells/{id}/preview-links, or send an API key");
}

// HTTP/1.0 may have none.
std::optional<std::string> host_of(const http::Request& request) {
  const std::string* field = request.header("host");
  return field == nullptr ? std::nullopt : host_name(*field);
}

Error no_cell(const std::string& id) {
  return Error(ErrorCode::not_found, "cell_not_found", "no cell \"" + id + "\"");
}

Error not_proven(const std::string& domain) {
  return Error(ErrorCode::not_found, "domain_not_verified",
               "the domain " + domain + " is not verified yet: nothing is shown here",
               "whoever added it sets the DNS record that it was told, then POST "
               "/api/v1/domains/" +
                   domain + "/verify");
}

// A private preview is no part of its neighbours' pages, which are of its site for a browser.
void keep_apart(bool is_public, http::Fields& fields) {
  constexpr const char* kPolicy = "Cross-Origin-Resource-Policy";
  const bool has_own = !http::first(fields, "cross-origin-resource-policy").empty();
  if (!is_public && !has_own) fields.emplace_back(kPolicy, "same-origin");
}

// Keeps a page below the API's own origin apart from the API.
void add_sandbox(bool is_public, http::Fields& fields) {
  fields.emplace_back("Content-Security-Policy", std::string(kSandbox));
  // The sandboxed page is of another origin than its own scripts.
  const bool has_own = !http::first(fields, "access-control-allow-origin").empty();
  if (is_public && !has_own) fields.emplace_back("Access-Control-Allow-Origin", "*");
}

// What a server in the cell answers, for browsers: its word counts for its preview only.
void edit_answer(const std::string& prefix, bool is_public, http::Fields& fields) {
  for (const std::string_view name : kNotSaid) http::remove(fields, name);
  for (auto& [name, value] : fields) {
    const std::string lower = to_lower_ascii(name);
    if (lower == "set-cookie") value = own_cookie(value, prefix);
    const bool is_path = value.starts_with("/") && !value.starts_with("//");
    if (lower == "location" && is_path) value.insert(0, prefix);
  }
  std::erase_if(fields, [](const auto& field) {
    return field.second.empty() && to_lower_ascii(field.first) == "set-cookie";
  });
  if (prefix.empty()) {
    keep_apart(is_public, fields);
  } else {
    add_sandbox(is_public, fields);
  }
}

}  // namespace

// One request on its way.
struct Preview::Visit {
  http::Exchange& exchange;
  PreviewPlace place;
  std::string request_id;
  http::Fields fields;  // as they were sent; what opens the preview is taken out on the way
  std::string upgrade;
  cell::Supervisor::CellPtr cell;
  // Whether what opened the preview still does; empty: it does as long as somebody looks.
  std::function<bool()> may_go_on;

  bool is_public() const {
    return cell && cell->spec().preview_access == cell::PreviewAccess::everybody;
  }
  // Fields that each answer of ours has.
  http::Fields own_fields() const {
    http::Fields own = {{"X-Content-Type-Options", "nosniff"}};
    if (place.prefix.empty()) {
      keep_apart(is_public(), own);
    } else {
      add_sandbox(is_public(), own);
    }
    return own;
  }
};

Preview::Preview(cell::Supervisor& supervisor, PreviewOptions options)
    : supervisor_(supervisor), options_(std::move(options)) {}

bool Preview::takes(const http::Request& request) const {
  const auto host = host_of(request);
  if (host && (options_.domain.label_of(*host) || owned_cell(*host))) return true;
  if (is_unproven(request)) return true;
  return place_of_path(request.path).has_value();
}

PreviewPlace Preview::place_of(const http::Request& request) const {
  const auto host = host_of(request);
  const auto label = host ? options_.domain.label_of(*host) : std::nullopt;
  if (const auto cell_id = host && !label ? owned_cell(*host) : std::nullopt) {
    return {.cell_id = *cell_id, .port = {}, .prefix = {}, .path = request.path};
  }
  if (!label) return place_of_path(request.path).value();
  PreviewPlace place = place_of_label(
      *label, [this](std::string_view id) { return supervisor_.find(id) != nullptr; });
  place.path = request.path;
  return place;
}

bool Preview::is_unproven(const http::Request& request) const {
  const bool is_page = request.path == "/" || request.path.starts_with("/assets/");
  const auto host = is_page ? host_of(request) : std::nullopt;
  const cell::CustomDomain* domain = host ? supervisor_.find_domain(*host) : nullptr;
  return domain != nullptr && !domain->is_verified;
}

// The cell that a verified domain of a customer leads to.
std::optional<std::string> Preview::owned_cell(const std::string& host) const {
  const cell::CustomDomain* domain = supervisor_.find_domain(host);
  if (domain == nullptr || !domain->is_verified) return std::nullopt;
  return domain->cell_id;
}

bool Preview::is_by_trusted_proxy(const Visit& visit) const {
  const auto& trusted = options_.trusted_proxies;
  const std::string address = visit.exchange.client_address();
  return std::find(trusted.begin(), trusted.end(), address) != trusted.end();
}

std::string Preview::addresses_of(const Visit& visit) const {
  std::string addresses;
  const bool is_believed = is_by_trusted_proxy(visit);
  for (const auto& [name, value] : visit.fields) {
    if (is_believed && to_lower_ascii(name) == "x-forwarded-for") addresses += value + ", ";
  }
  return addresses + visit.exchange.client_address();
}

std::string Preview::scheme_of(const Visit& visit) const {
  const std::string said = to_lower_ascii(http::first(visit.fields, "x-forwarded-proto"));
  if ((said == "http" || said == "https") && is_by_trusted_proxy(visit)) return said;
  if (visit.exchange.is_encrypted()) return "https";
  if (!visit.place.prefix.empty()) return "http";
  return options_.domain.is_set() ? options_.domain.scheme() : "https";
}

asio::awaitable<void> Preview::handle(http::Exchange& exchange) {
  ++supervisor_.measures().preview_requests;
  const std::string request_id = "req_" + random_hex(8);
  PreviewPlace place;
  std::optional<Error> failure;
  try {
    if (is_unproven(exchange.request())) throw not_proven(*host_of(exchange.request()));
    place = place_of(exchange.request());
    co_await serve(exchange, place, request_id);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled || exchange.has_answered()) throw;
    failure = error;
  }
  if (!failure) co_return;
  const std::string* accept = exchange.request().header("accept");
  const bool as_html = accept != nullptr && accept->find("text/html") != std::string::npos;
  http::Response response = error_page(*failure, request_id, as_html);
  if (!place.prefix.empty()) add_sandbox(false, response.headers);
  co_await exchange.respond(std::move(response));
}

asio::awaitable<void> Preview::serve(http::Exchange& exchange, const PreviewPlace& place,
                                     const std::string& request_id) {
  Visit visit{exchange, place, request_id, exchange.fields(), {}, supervisor_.find(place.cell_id)};
  visit.upgrade = http::upgrade_of(visit.fields);
  const bool may_go_on = co_await admit(visit);
  if (!may_go_on) co_return;
  if (place.path.empty()) {  // Relative addresses of the page need the "/".
    const std::string target = without_token(exchange.request().target);
    const std::size_t question = target.find('?');
    http::Response response{.status = 308};
    response.headers = visit.own_fields();
    response.headers.emplace_back(
        "Location", place.prefix + "/" + (question == target.npos ? "" : target.substr(question)));
    co_await exchange.respond(std::move(response));
    co_return;
  }
  std::string cell_id = place.cell_id;
  visit.cell = co_await supervisor_.ready(std::move(cell_id));
  if (!visit.cell) throw no_cell(place.cell_id);
  std::size_t& count = connections_[place.cell_id];
  if (count >= options_.connections_max) {
    throw Error(ErrorCode::unavailable, "too_many_connections",
                "the preview of cell " + place.cell_id + " has " + std::to_string(count) +
                    " connections, which is the limit",
                "close some of them, or try again later");
  }
  struct Counted {
    std::map<std::string, std::size_t>& all;
    const std::string& id;
    ~Counted() {
      if (--all[id] == 0) all.erase(id);
    }
  };
  ++count;
  const Counted counted{connections_, place.cell_id};
  co_await enter(visit);
}

asio::awaitable<bool> Preview::admit(Visit& visit) {
  const http::Request& request = visit.exchange.request();
  const std::string& id = visit.place.cell_id;
  if (!visit.place.prefix.empty() && is_part_of_own_page(visit.fields)) {
    throw not_invited("foreign_origin", "a page of the daemon's own may not load parts from here");
  }
  bool has_key = false;
  for (const SentKey& sent : sent_keys(visit.fields)) {
    if (is_cell_token(sent.key)) {  // It opens the API only, and is none of the server's business.
      http::remove(visit.fields, sent.field);
      continue;
    }
    const cell::Key* key = supervisor_.use_key(sent.key);
    if (key == nullptr) continue;  // It is for the server in the cell, whatever it means there.
    http::remove(visit.fields, sent.field);
    require_scope(*key, visit.upgrade.empty() ? usual_scope(request.method) : cell::Scope::write);
    if (!visit.cell || visit.cell->spec().owner_id != key->owner_id) throw no_cell(id);
    has_key = true;
    visit.may_go_on = [this, key_id = key->id, until = key->expires_at] {
      return supervisor_.has_key(key_id) && (!until || wall_now() < *until);
    };
  }
  const std::vector<std::string> cookies = preview_cookies(visit.fields);
  remove_preview_cookie(visit.fields);
  const auto token = request.query_value(kPreviewToken);
  const WallTime now = wall_now();
  std::optional<TokenCell> token_cell;
  if (visit.cell) token_cell = TokenCell{id, visit.cell->spec().created_at};
  const auto check = [&](const std::string& text) {
    return token_cell ? options_.signer.check(text, *token_cell, visit.place.port, now)
                      : std::nullopt;
  };
  const auto expiry = token ? check(*token) : std::nullopt;
  const bool only_reads = request.method == "GET" || request.method == "HEAD";
  if (expiry && only_reads && visit.upgrade.empty()) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(*expiry - now);
    const bool is_https = scheme_of(visit) == "https";
    http::Response response{.status = 303};
    response.headers = visit.own_fields();
    response.headers.emplace_back("Location", on_this_host(without_token(request.target)));
    response.headers.emplace_back("Set-Cookie", cookie_of(*token, visit.place, left, is_https));
    response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    co_await visit.exchange.respond(std::move(response));
    co_return false;
  }
  if (visit.is_public()) visit.may_go_on = nullptr;
  if (has_key || visit.is_public()) co_return true;
  std::optional<WallTime> until = expiry;
  for (const std::string& cookie : cookies) {
    if (!until) until = check(cookie);
  }
  if (until) visit.may_go_on = [until = *until] { return wall_now() < until; };
  if (expiry) co_return true;
  if (until) {
    const bool is_part = !visit.place.prefix.empty() && is_part_of_foreign_page(visit.fields);
    const bool is_foreign =
        is_part || is_from_elsewhere(request.method, visit.fields, !visit.upgrade.empty());
    if (!is_foreign) co_return true;
    throw not_invited("foreign_origin", "a page of another site may not do this here");
  }
  if (token) throw not_invited("link_invalid", "the link is over, or not for this preview");
  throw not_invited("preview_private", "this preview is private, or there is none");
}

asio::awaitable<void> Preview::enter(Visit& visit) {
  const http::Request& request = visit.exchange.request();
  std::string detail = visit.place.port ? "port " + std::to_string(*visit.place.port) : "its port";
  if (!visit.upgrade.empty()) detail += ", " + visit.upgrade.substr(0, 32);
  const auto activity = co_await visit.cell->use("preview", std::move(detail));
  auto door = co_await visit.cell->open_door(visit.place.port);
  if (door) {
    co_await relay(visit, std::move(*door));
    co_return;
  }
  if (visit.place.port) {
    const std::string port = std::to_string(*visit.place.port);
    throw Error(ErrorCode::unavailable, "nothing_listens",
                "nothing listens on port " + port + " of cell " + visit.place.cell_id,
                "start a server there that listens on 127.0.0.1 or 0.0.0.0, port " + port);
  }
  if (visit.place.path == "/request" && request.method == "POST") {
    co_await call_agent(visit);
    co_return;
  }
  std::string prefix = visit.place.prefix;
  std::string path = visit.place.path;
  http::Fields fields = visit.own_fields();
  const auto cell = visit.cell;
  co_await send_work_file(visit.exchange, cell, std::move(prefix), std::move(path),
                          std::move(fields));
}

asio::awaitable<void> Preview::call_agent(Visit& visit) {
  if (is_from_elsewhere("POST", visit.fields, false)) {
    throw not_invited("foreign_origin", "a page of another site may not call the agent here");
  }
  http::PathParams params = {{"id", visit.place.cell_id}};
  const Call call{visit.exchange, std::move(params), visit.cell->spec().owner_id, visit.request_id,
                  supervisor_};
  co_await request_agent(call, Caller::visitor);
}

// ---- to a server in the cell ----

http::RelayRequest Preview::request_inside(const Visit& visit) const {
  const http::Request& request = visit.exchange.request();
  http::RelayRequest inside;
  const std::string target = without_token(request.target);
  inside.target = target.substr(visit.place.prefix.size());
  inside.upgrade = visit.upgrade;
  inside.fields = http::end_to_end(visit.fields);
  remove_not_believed(inside.fields);
  const std::string host(http::first(inside.fields, "host"));
  inside.fields.emplace_back("X-Forwarded-For", addresses_of(visit));
  inside.fields.emplace_back("X-Forwarded-Host", host);
  inside.fields.emplace_back("X-Forwarded-Proto", scheme_of(visit));
  if (!visit.place.prefix.empty()) {
    inside.fields.emplace_back("X-Forwarded-Prefix", visit.place.prefix);
  }
  return inside;
}

asio::awaitable<void> Preview::relay(Visit& visit, cell::Cell::Door door) {
  std::optional<asio::ip::tcp::socket> server;
  const auto executor = co_await asio::this_coro::executor;
  const auto& at = door.to;
  http::Inside inside{at.is_v6, at.address, at.port};
  server = co_await http::connect_inside(executor, door.socket.release(), inside,
                                         options_.connect_limit);
  if (!server) {
    throw Error(ErrorCode::unavailable, "no_answer",
                "the server on port " + std::to_string(at.port) + " of cell " +
                    visit.place.cell_id + " takes no connection",
                "look whether it still runs, and is not too busy");
  }
  http::RelayHooks hooks;
  hooks.before_write = [cell = visit.cell] { return cell->stay_awake(); };
  hooks.may_go_on = visit.may_go_on;
  hooks.edit_answer = [prefix = visit.place.prefix, is_public = visit.is_public()](
                          int, http::Fields& fields) { edit_answer(prefix, is_public, fields); };
  http::RelayRequest request = request_inside(visit);
  co_await http::relay(visit.exchange, std::move(*server), std::move(request), options_.relay,
                       std::move(hooks));
}

}  // namespace cellar::api
