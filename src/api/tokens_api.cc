// Tokens for browsers.

#include "api/api.h"
#include "api/cell_token.h"
#include "base/error.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

constexpr std::int64_t kTokenExpiryDefaultS = 900;
constexpr std::size_t kTokenScopesMax = 8;

cell::Scope scope_in(const json::Reader& body) {
  const auto words = body.optional_strings("scopes", kTokenScopesMax);
  const std::string scopes = cell::checked_scopes(words.value_or(std::vector<std::string>()));
  const bool is_more =
      includes(scopes, cell::Scope::admin) || includes(scopes, cell::Scope::metrics);
  if (is_more) json::Reader::refuse("scopes", "a list of read, write or both");
  return includes(scopes, cell::Scope::write) ? cell::Scope::write : cell::Scope::read;
}

asio::awaitable<void> make_token(const Call& call, const SigningKey& key) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  const cell::Scope scope = scope_in(body);
  const std::int64_t seconds = body.optional_int("expires_in_s", 1, kCellTokenExpiryMax.count())
                                   .value_or(kTokenExpiryDefaultS);
  body.refuse_unknown();
  // In whole seconds, as the token has it.
  const WallTime expiry =
      std::chrono::ceil<std::chrono::seconds>(wall_now() + std::chrono::seconds(seconds));
  const CellToken token{call.key_id, scope, expiry};
  const TokenCell token_cell{cell->spec().cell_id, cell->spec().created_at};
  json::Value answer = json::object(
      {{"token", sign_token(key, token_cell, token)}, {"expires_at", to_iso8601(expiry)}});
  co_await call.answer(std::move(answer), 201);
}

}  // namespace

std::vector<Route> token_routes(const SigningKey& key) {
  return {{"POST", "/api/v1/cells/{id}/tokens",
           [&key](const Call& call) { return make_token(call, key); }, std::nullopt,
           Tokens::refused}};
}

}  // namespace cellar::api
