#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "api/preview_access.h"
#include "api/signing_key.h"
#include "base/clock.h"
#include "cell/key_ring.h"

// Tokens for browsers: each is for one cell and some hours, and ends with the key that made it.
namespace cellar::api {

// How each begins, so that it is told from a key; and the word before it in a subprotocol.
inline constexpr std::string_view kCellTokenStart = "ct1.";
inline constexpr std::string_view kTokenProtocolStart = "cellar.token.";
// The subprotocol that is answered where the client offers it beside the token.
inline constexpr std::string_view kPlainProtocol = "cellar";
inline constexpr std::string_view kTokenQuery = "token";
inline constexpr std::chrono::seconds kCellTokenExpiryMax = std::chrono::hours(24);

bool is_cell_token(std::string_view text) noexcept;

struct CellToken {
  std::string key_id;
  cell::Scope scope = cell::Scope::read;  // or write
  WallTime expires_at;                    // whole seconds

  bool operator==(const CellToken&) const = default;
};

// "ct1.<expiry, seconds since 1970>.<r or w>.<key id>.<64 hexadecimal digits>": letters, digits,
// "." and "_", fit for a query and a subprotocol.
std::string sign_token(const SigningKey& key, const TokenCell& cell, const CellToken& token);
// nullopt for what was not signed for this cell. Whether it is over, the caller looks.
std::optional<CellToken> read_token(const SigningKey& key, const TokenCell& cell,
                                    std::string_view text);

// What a request is authenticated with, a key or a token: Authorization, X-API-Key; of a GET, which
// browsers send without either for WebSockets and EventSource, also a subprotocol or the query.
std::string credential_of(const http::Request& request);

// The subprotocol to answer: browsers demand one of those they offered. Empty where no token is
// among them.
std::string answered_protocol(const http::Request& request);

}  // namespace cellar::api
