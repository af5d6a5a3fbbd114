#include "api/cell_token.h"

#include <vector>

#include "base/text.h"

namespace cellar::api {
namespace {

std::string token_text(const TokenCell& cell, std::string_view rest) {
  return "cellar token\n" + cell.cell_id + "\n" + std::to_string(to_unix_ms(cell.created_at)) +
         "\n" + std::string(rest);
}

std::vector<std::string_view> offered_protocols(const http::Request& request) {
  std::vector<std::string_view> offered;
  const std::string* field = request.header("sec-websocket-protocol");
  if (field == nullptr) return offered;
  for (const std::string_view one : split(*field, ',')) offered.push_back(trim(one));
  return offered;
}

}  // namespace

bool is_cell_token(std::string_view text) noexcept { return text.starts_with(kCellTokenStart); }

std::string sign_token(const SigningKey& key, const TokenCell& cell, const CellToken& token) {
  const auto ends =
      std::chrono::duration_cast<std::chrono::seconds>(token.expires_at.time_since_epoch());
  const std::string rest = std::to_string(ends.count()) +
                           (token.scope == cell::Scope::write ? ".w." : ".r.") + token.key_id;
  return std::string(kCellTokenStart) + rest + "." + key.code_of(token_text(cell, rest));
}

std::optional<CellToken> read_token(const SigningKey& key, const TokenCell& cell,
                                    std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '.');
  if (!is_cell_token(text) || parts.size() != 5) return std::nullopt;
  const std::string_view rest = text.substr(
      kCellTokenStart.size(), text.size() - kCellTokenStart.size() - parts[4].size() - 1);
  if (!key.has_code(token_text(cell, rest), parts[4])) return std::nullopt;
  const auto ends = parse_int(parts[1]);
  if (!ends) return std::nullopt;
  return CellToken{.key_id = std::string(parts[3]),
                   .scope = parts[2] == "w" ? cell::Scope::write : cell::Scope::read,
                   .expires_at = WallTime(std::chrono::seconds(*ends))};
}

std::string credential_of(const http::Request& request) {
  if (const std::string* header = request.header("authorization")) {
    constexpr std::string_view kScheme = "bearer ";
    if (to_lower_ascii(header->substr(0, kScheme.size())) == kScheme) {
      return std::string(trim(std::string_view(*header).substr(kScheme.size())));
    }
  }
  if (const std::string* key = request.header("x-api-key")) return std::string(trim(*key));
  if (request.method != "GET") return {};
  for (const std::string_view one : offered_protocols(request)) {
    if (!one.starts_with(kTokenProtocolStart)) continue;
    const std::string_view token = one.substr(kTokenProtocolStart.size());
    if (is_cell_token(token)) return std::string(token);
  }
  const auto token = request.query_value(kTokenQuery);
  return token && is_cell_token(*token) ? *token : std::string();  // A key in an address is no key.
}

std::string answered_protocol(const http::Request& request) {
  std::string with_token;
  bool is_plain_offered = false;
  for (const std::string_view one : offered_protocols(request)) {
    if (one == kPlainProtocol) is_plain_offered = true;
    if (with_token.empty() && one.starts_with(kTokenProtocolStart)) with_token = one;
  }
  return is_plain_offered ? std::string(kPlainProtocol) : with_token;
}

}  // namespace cellar::api
