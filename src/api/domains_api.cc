// Domains of customers: OnCell's calls (tag `oncell` of docs/api/openapi.yaml).

#include "api/api.h"
#include "base/error.h"
#include "cell/custom_domain.h"
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

json::Value domain_json(const CustomDomain& domain, const PreviewDomain& previews) {
  json::Value value = json::object({{"domain", domain.domain},
                                    {"cell_id", domain.cell_id},
                                    {"developer_id", domain.owner_id},
                                    {"domain_status", status_word(domain.is_verified)},
                                    {"ssl_status", "external"},
                                    {"is_apex_domain", cell::is_apex(domain.domain)},
                                    {"created_at", to_iso8601(domain.created_at)}});
  if (!domain.is_verified) {
    value.as_object().set("dns_instructions", instructions(domain, previews));
  }
  return value;
}

std::string domain_in(const Call& call) { return cell::checked_domain(call.params.at("domain")); }

// A name below the base domain is a preview's already.
void refuse_own(const std::string& domain, const PreviewDomain& previews) {
  const std::string& own = previews.host();
  if (own.empty() || (domain != own && !domain.ends_with("." + own))) return;
  throw Error(ErrorCode::invalid_argument, "invalid_domain",
              "\"domain\" must not be below " + own + ", where previews are already");
}

asio::awaitable<void> add_one(const Call& call, const PreviewDomain& previews) {
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string domain = cell::checked_domain(body.required_string("domain"));
  refuse_own(domain, previews);
  std::string cell_id = body.required_string("cell_id");
  std::string owner = call.owner;
  const CustomDomain added =
      co_await call.supervisor.add_domain(std::move(owner), std::move(domain), std::move(cell_id));
  co_await call.answer(domain_json(added, previews), 201);
}

asio::awaitable<void> list_all(const Call& call, const PreviewDomain& previews) {
  json::Array list;
  for (const CustomDomain& domain : call.supervisor.domains_of(call.owner)) {
    list.push_back(domain_json(domain, previews));
  }
  json::Value answer = json::object({{"domains", std::move(list)}});
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> get_one(const Call& call, const PreviewDomain& previews) {
  const CustomDomain domain = call.supervisor.get_domain(call.owner, domain_in(call));
  co_await call.answer(domain_json(domain, previews));
}

asio::awaitable<void> reassign(const Call& call, const PreviewDomain& previews) {
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string cell_id = body.required_string("cell_id");
  std::string domain = domain_in(call);
  std::string owner = call.owner;
  const CustomDomain now = co_await call.supervisor.reassign_domain(
      std::move(owner), std::move(domain), std::move(cell_id));
  co_await call.answer(domain_json(now, previews));
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

// There is no certificate here to ask for: whoever ends TLS before the daemon has it.
asio::awaitable<void> provision(const Call& call) {
  call.supervisor.get_domain(call.owner, domain_in(call));
  json::Value answer =
      json::object({{"sslStatus", "external"},
                    {"message",
                     "TLS is ended by the reverse proxy before the daemon: the certificate of this "
                     "domain belongs there"}});
  co_await call.answer(std::move(answer));
}

}  // namespace

std::vector<Route> domain_routes(const PreviewDomain& previews) {
  constexpr const char* kOne = "/api/v1/domains/{domain}";
  return {{"POST", "/api/v1/domains", [&previews](const Call& c) { return add_one(c, previews); }},
          {"GET", "/api/v1/domains", [&previews](const Call& c) { return list_all(c, previews); }},
          {"GET", kOne, [&previews](const Call& c) { return get_one(c, previews); }},
          {"PATCH", kOne, [&previews](const Call& c) { return reassign(c, previews); }},
          {"DELETE", kOne, remove_one},
          {"POST", std::string(kOne) + "/verify",
           [&previews](const Call& c) { return verify(c, previews); }},
          {"POST", std::string(kOne) + "/provision-ssl", provision}};
}

}  // namespace cellar::api
