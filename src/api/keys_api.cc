// Keys of the API: who has them, and what they are good for.

#include "api/api.h"
#include "base/error.h"
#include "base/text.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

constexpr std::size_t kScopesMax = 8;
constexpr std::int64_t kKeyExpiryMaxS = 10LL * 31'536'000;

json::Value time_json(const std::optional<WallTime>& time) {
  return time ? json::Value(to_iso8601(*time)) : json::Value();
}

json::Value key_json(const cell::Key& key) {
  json::Array scopes;
  for (const std::string_view scope : split(key.scopes, ',')) scopes.emplace_back(scope);
  return json::object({{"id", key.id},
                       {"name", key.name},
                       {"owner", key.owner_id},
                       {"scopes", std::move(scopes)},
                       {"created_at", to_iso8601(key.created_at)},
                       {"expires_at", time_json(key.expires_at)},
                       {"last_used_at", time_json(key.last_used_at)}});
}

asio::awaitable<void> create_key(const Call& call) {
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string name = checked_name("name", body.required_string("name"));
  std::string owner = cell::checked_owner(body.optional_string("owner").value_or(call.owner));
  const auto words = body.optional_strings("scopes", kScopesMax);
  if (!words) json::Reader::refuse("scopes", "a list of some of read, write, admin and metrics");
  std::string scopes = cell::checked_scopes(*words);
  std::optional<WallTime> expires_at;
  if (const auto seconds = body.optional_int("expires_in_s", 1, kKeyExpiryMaxS)) {
    expires_at = wall_now() + std::chrono::seconds(*seconds);
  }
  body.refuse_unknown();
  const auto created = co_await call.supervisor.create_key(std::move(owner), std::move(name),
                                                           std::move(scopes), expires_at);
  call.made(created.key.id);
  json::Value answer = key_json(created.key);
  answer.as_object().set("secret", created.secret);
  co_await call.answer(std::move(answer), 201);
}

asio::awaitable<void> list_keys(const Call& call) {
  json::Array list;
  for (const cell::Key& key : call.supervisor.keys()) list.push_back(key_json(key));
  json::Value answer = json::object({{"keys", std::move(list)}});
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> remove_key(const Call& call) {
  std::string id = call.params.at("key");
  co_await call.supervisor.remove_key(std::move(id));
  co_await call.answer_nothing();
}

}  // namespace

std::vector<Route> key_routes() {
  constexpr cell::Scope kAdmin = cell::Scope::admin;
  return {{"POST", "/api/v1/keys", create_key, kAdmin},
          {"GET", "/api/v1/keys", list_keys, kAdmin},
          {"DELETE", "/api/v1/keys/{key}", remove_key, kAdmin}};
}

}  // namespace cellar::api
