// Domains of customers: OnCell's calls (tag `oncell` of docs/api/openapi.yaml).

#include "api/api.h"
#include "base/error.h"
#include "cell/custom_domain.h"
#include "certificates/orders.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

using cell::CustomDomain;

// What the customer has to write into their DNS, one record or the other.
json::Value instructions(const CustomDomain& domain, const PreviewDomain& previews) {
  json::Array records;
  records.push_back(json::object({{"type", "TXT"},
                                  {"name", cell::challenge_name(domain)},
                                  {"value", cell::challenge_text(domain)}}));
  if (previews.is_set()) {
    records.push_back(json::object({{"type", "CNAME"},
                                    {"name", domain.domain},
                                    {"value", domain.cell_id + "." + previews.host()}}));
  }
  return json::Value(std::move(records));
}

std::string_view status_word(bool is_verified) noexcept {
  return is_verified ? "verified" : "pending";
}

// How the TLS of a domain is.
struct Ssl {
  std::string_view status;
  std::optional<WallTime> expires_at = std::nullopt;
  std::string message = {};  // what is to be done, or what went wrong
};

Ssl ssl_of(const CustomDomain& known, const Https& https) {
  const std::string& domain = known.domain;
  if (https.certificates == nullptr) {
    return {.status = "external",
            .message =
                "TLS is ended by the reverse proxy before the daemon: the certificate of "
                "this domain belongs there"};
  }
  const auto identity = https.certificates->identity(domain);
  if (identity && !known.is_verified) {
    return {.status = "none",
            .message = "its certificate is there, and is shown once the domain is verified"};
  }
  const auto order = https.orders == nullptr ? std::nullopt : https.orders->view(domain);
  if (identity && identity->expires_at() > wall_now()) {
    return {.status = "active",
            .expires_at = identity->expires_at(),
            .message = order ? order->problem : std::string()};
  }
  if (!identity && https.certificates->is_operators(domain)) {
    return {.status = "failed",
            .message = "the files that the operator put there are not good: the log says why"};
  }
  if (order && order->is_pending) return {.status = "provisioning"};
  if (order && !order->problem.empty()) return {.status = "failed", .message = order->problem};
  if (identity) return {.status = "expired", .expires_at = identity->expires_at()};
  return {.status = "none",
          .message = https.orders == nullptr
                         ? "the daemon has no --acme-command: its operator puts fullchain.pem and "
                           "privkey.pem into <state>/certificates/" +
                               domain
                         : "ask for a certificate with provision-ssl"};
}

json::Value domain_json(const CustomDomain& domain, const PreviewDomain& previews,
                        const Https& https) {
  const Ssl ssl = ssl_of(domain, https);
  json::Value value = json::object({{"domain", domain.domain},
                                    {"cell_id", domain.cell_id},
                                    {"developer_id", domain.owner_id},
                                    {"domain_status", status_word(domain.is_verified)},
                                    {"ssl_status", ssl.status},
                                    {"is_apex_domain", cell::is_apex(domain.domain)},
                                    {"created_at", to_iso8601(domain.created_at)}});
  if (ssl.expires_at) value.as_object().set("cert_expires_at", to_iso8601(*ssl.expires_at));
  if (!domain.is_verified) {
    value.as_object().set("dns_instructions", instructions(domain, previews));
  }
  return value;
}

std::string domain_in(const Call& call) { return cell::checked_domain(call.params.at("domain")); }

// A name below the base domain is a preview's already, and one of the daemon's own is nobody's.
void refuse_own(const std::string& domain, const PreviewDomain& previews, const Https& https) {
  const std::string& base = previews.host();
  if (!base.empty() && (domain == base || domain.ends_with("." + base))) {
    throw Error(ErrorCode::invalid_argument, "invalid_domain",
                "\"domain\" must not be below " + base + ", where previews are already");
  }
  if (https.certificates == nullptr) return;
  if (!https.certificates->identities().base().covers(domain)) return;
  throw Error(ErrorCode::invalid_argument, "invalid_domain",
              "\"domain\" must not be a name of the daemon's own certificate");
}

asio::awaitable<void> add_one(const Call& call, const PreviewDomain& previews, const Https& https) {
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string domain = cell::checked_domain(body.required_string("domain"));
  refuse_own(domain, previews, https);
  std::string cell_id = body.required_string("cell_id");
  body.refuse_unknown();
  std::string owner = call.owner;
  const CustomDomain added =
      co_await call.supervisor.add_domain(std::move(owner), std::move(domain), std::move(cell_id));
  co_await call.answer(domain_json(added, previews, https), 201);
}

asio::awaitable<void> list_all(const Call& call, const PreviewDomain& previews,
                               const Https& https) {
  json::Array list;
  for (const CustomDomain& domain : call.supervisor.domains_of(call.owner)) {
    list.push_back(domain_json(domain, previews, https));
  }
  json::Value answer = json::object({{"domains", std::move(list)}});
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> get_one(const Call& call, const PreviewDomain& previews, const Https& https) {
  const CustomDomain domain = call.supervisor.get_domain(call.owner, domain_in(call));
  co_await call.answer(domain_json(domain, previews, https));
}

asio::awaitable<void> reassign(const Call& call, const PreviewDomain& previews,
                               const Https& https) {
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string cell_id = body.required_string("cell_id");
  body.refuse_unknown();
  std::string domain = domain_in(call);
  std::string owner = call.owner;
  const CustomDomain now = co_await call.supervisor.reassign_domain(
      std::move(owner), std::move(domain), std::move(cell_id));
  co_await call.answer(domain_json(now, previews, https));
}

asio::awaitable<void> remove_one(const Call& call) {
  std::string domain = domain_in(call);
  std::string owner = call.owner;
  co_await call.supervisor.remove_domain(std::move(owner), std::move(domain));
  co_await call.answer_nothing();
}

asio::awaitable<void> verify(const Call& call, const PreviewDomain& previews) {
  std::string domain = domain_in(call);
  const CustomDomain before = call.supervisor.get_domain(call.owner, domain);
  std::string target = previews.is_set() ? before.cell_id + "." + previews.host() : std::string();
  std::string owner = call.owner;
  const CustomDomain seen = co_await call.supervisor.verify_domain(
      std::move(owner), std::move(domain), std::move(target));
  const bool is_served = before.is_verified || seen.is_verified;
  json::Value answer =
      json::object({{"dnsVerified", seen.is_verified}, {"domainStatus", status_word(is_served)}});
  if (!seen.is_verified) {
    answer.as_object().set("dnsInstructions", instructions(before, previews));
  }
  co_await call.answer(std::move(answer));
}

// The operator's files are enough; else the operator's program is asked.
asio::awaitable<void> provision(const Call& call, const Https& https) {
  std::string domain = domain_in(call);
  const CustomDomain known = call.supervisor.get_domain(call.owner, domain);
  if (https.certificates != nullptr) {
    co_await https.certificates->reread();
    const std::string_view before = ssl_of(known, https).status;
    const bool is_wanted = before != "active" && !https.certificates->is_operators(domain);
    if (is_wanted && https.orders != nullptr) {
      if (!known.is_verified) {
        throw Error(ErrorCode::conflict, "domain_not_verified",
                    "the domain " + domain + " is not verified: it gets no certificate",
                    "set its DNS record, then POST /api/v1/domains/" + domain + "/verify");
      }
      std::string name = domain;
      co_await https.orders->order(std::move(name));
    }
  }
  const Ssl ssl = ssl_of(known, https);
  json::Value answer = json::object({{"sslStatus", ssl.status}});
  if (ssl.expires_at) answer.as_object().set("certExpiresAt", to_iso8601(*ssl.expires_at));
  if (!ssl.message.empty()) answer.as_object().set("message", ssl.message);
  co_await call.answer(std::move(answer));
}

}  // namespace

std::vector<Route> domain_routes(const PreviewDomain& previews, const Https& https) {
  constexpr const char* kAll = "/api/v1/domains";
  constexpr const char* kOne = "/api/v1/domains/{domain}";
  using Handle = asio::awaitable<void> (*)(const Call&, const PreviewDomain&, const Https&);
  const auto with_both = [&previews, &https](Handle handle) {
    return [&previews, &https, handle](const Call& call) { return handle(call, previews, https); };
  };
  return {{"POST", kAll, with_both(add_one)},
          {"GET", kAll, with_both(list_all)},
          {"GET", kOne, with_both(get_one)},
          {"PATCH", kOne, with_both(reassign)},
          {"DELETE", kOne, remove_one},
          {"POST", std::string(kOne) + "/verify",
           [&previews](const Call& c) { return verify(c, previews); }},
          {"POST", std::string(kOne) + "/provision-ssl",
           [&https](const Call& c) { return provision(c, https); }}};
}

}  // namespace cellar::api
