#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/preview_address.h"
#include "api/signing_key.h"
#include "base/clock.h"
#include "http/message.h"

// Who may see a private preview, and what of it the server in the cell is not told.
namespace cellar::api {

// The name of the token in the query, and of the cookie that it becomes.
inline constexpr std::string_view kPreviewToken = "cellar_token";
inline constexpr std::string_view kPreviewCookie = "cellar_preview";

// Which cell a token is for: one that was deleted and made again is another.
struct TokenCell {
  std::string cell_id;
  WallTime created_at;
};

// Signs links. Immutable.
class PreviewSigner {
 public:
  static constexpr std::chrono::seconds kExpiryMax = std::chrono::hours(7 * 24);

  explicit PreviewSigner(SigningKey key) : key_(std::move(key)) {}

  // "1.<expiry, seconds since 1970>.<port, or 0 for all>.<64 hexadecimal digits>". Text of a query
  // and of a cookie as it is.
  std::string sign(const TokenCell& cell, std::optional<std::uint16_t> port, WallTime expiry) const;
  // When it expires; nullopt for a token of another cell or port, one that is over, and none of
  // ours.
  std::optional<WallTime> check(std::string_view token, const TokenCell& cell,
                                std::optional<std::uint16_t> port, WallTime now) const;

 private:
  SigningKey key_;
};

// The values of our cookie in all Cookie fields: another cell's page may have set one of its own.
std::vector<std::string> preview_cookies(const http::Fields& fields);

// Takes our cookie out of Cookie fields, and our token out of a target's query.
void remove_preview_cookie(http::Fields& fields);
std::string without_token(std::string_view target);

// Takes out what only a proxy says of the visitor, whose word the daemon's is put in for. Many
// servers do not tell "_" from "-" in a name: neither does this.
void remove_not_believed(http::Fields& fields);

// Whether a browser may have sent this on behalf of a page of somewhere else, where a cookie is no
// proof that its user wants it: it changes something or opens a connection, and its Origin is not
// `host`, which is the Host field.
bool is_from_elsewhere(std::string_view method, const http::Fields& fields, bool wants_upgrade);

// Whether a page of the daemon's own origin (the dashboard: pages below paths are of none) wants
// this as a part of itself, a script above all.
bool is_part_of_own_page(const http::Fields& fields);

// Whether a browser fetches this for a page of another origin than its own. Below paths all pages
// are of none: another preview's page could have a script of this one run.
bool is_part_of_foreign_page(const http::Fields& fields);

// "cellar_preview=…; Path=…": on a host of its own for pages of any site that embed it, where it is
// https; else for its own pages only.
std::string cookie_of(std::string_view token, const PreviewPlace& place,
                      std::chrono::seconds lifetime, bool is_https);

// Makes a Set-Cookie value of the server's one for this preview alone: no Domain, a Path below the
// prefix. Empty where it would be our own cookie.
std::string own_cookie(std::string_view set_cookie, const std::string& prefix);

}  // namespace cellar::api
