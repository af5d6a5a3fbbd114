#include "api/preview_access.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "http/head.h"

namespace cellar::api {
namespace {

constexpr std::string_view kTokenVersion = "1";
constexpr std::size_t kCookiesMax = 8;
constexpr std::array<std::string_view, 11> kNotBelieved = {
    "forwarded",          "x-forwarded-for",      "x-forwarded-host",   "x-forwarded-port",
    "x-forwarded-prefix", "x-forwarded-proto",    "x-forwarded-server", "x-forwarded-scheme",
    "x-forwarded-ssl",    "x-forwarded-protocol", "x-real-ip"};

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string signed_text(const TokenCell& cell, std::string_view port, std::string_view expiry) {
  return "cellar preview\n" + cell.cell_id + "\n" + std::to_string(to_unix_ms(cell.created_at)) +
         "\n" + std::string(port) + "\n" + std::string(expiry);
}

bool names_our_cookie(std::string_view pair) {
  const std::string_view name = trim(pair.substr(0, pair.find('=')));
  return name == kPreviewCookie;
}

}  // namespace

std::string PreviewSigner::sign(const TokenCell& cell, std::optional<std::uint16_t> port,
                                WallTime expiry) const {
  const std::string ends = std::to_string(seconds_of(expiry));
  const std::string for_port = std::to_string(port.value_or(0));
  const std::string code = key_.code_of(signed_text(cell, for_port, ends));
  return std::string(kTokenVersion) + "." + ends + "." + for_port + "." + code;
}

std::optional<WallTime> PreviewSigner::check(std::string_view token, const TokenCell& cell,
                                             std::optional<std::uint16_t> port,
                                             WallTime now) const {
  const std::vector<std::string_view> parts = split(token, '.');
  if (parts.size() != 4 || parts[0] != kTokenVersion) return std::nullopt;
  const auto expiry = parse_int(parts[1]);
  const auto for_port = parse_int(parts[2]);
  if (!expiry || !for_port) return std::nullopt;
  if (!key_.has_code(signed_text(cell, parts[2], parts[1]), parts[3])) return std::nullopt;
  if (*for_port != 0 && *for_port != port.value_or(0)) return std::nullopt;
  const WallTime ends = WallTime(std::chrono::seconds(*expiry));
  if (ends <= now) return std::nullopt;
  return ends;
}

std::vector<std::string> preview_cookies(const http::Fields& fields) {
  std::vector<std::string> values;
  for (const auto& [name, value] : fields) {
    if (to_lower_ascii(name) != "cookie") continue;
    for (const std::string_view pair : split(value, ';')) {
      if (!names_our_cookie(pair) || pair.find('=') == pair.npos) continue;
      if (values.size() < kCookiesMax) values.emplace_back(trim(pair.substr(pair.find('=') + 1)));
    }
  }
  return values;
}

void remove_preview_cookie(http::Fields& fields) {
  for (auto& [name, value] : fields) {
    if (to_lower_ascii(name) != "cookie") continue;
    std::string kept;
    for (const std::string_view pair : split(value, ';')) {
      if (names_our_cookie(pair)) continue;
      kept += (kept.empty() ? "" : "; ") + std::string(trim(pair));
    }
    value = std::move(kept);
  }
  std::erase_if(fields, [](const auto& field) {
    return field.second.empty() && to_lower_ascii(field.first) == "cookie";
  });
}

void remove_not_believed(http::Fields& fields) {
  std::erase_if(fields, [](const auto& field) {
    std::string name = to_lower_ascii(field.first);
    std::replace(name.begin(), name.end(), '_', '-');
    return std::find(kNotBelieved.begin(), kNotBelieved.end(), name) != kNotBelieved.end();
  });
}

std::string without_token(std::string_view target) {
  const std::size_t question = target.find('?');
  if (question == target.npos) return std::string(target);
  std::string rest;
  bool has_token = false;
  for (const std::string_view pair : split(target.substr(question + 1), '&')) {
    const auto name = http::decode_percent(pair.substr(0, pair.find('=')));
    const bool is_token = name && *name == kPreviewToken;
    has_token = has_token || is_token;
    if (!is_token) rest += "&" + std::string(pair);
  }
  if (!has_token) return std::string(target);
  if (!rest.empty()) rest.front() = '?';
  return std::string(target.substr(0, question)) + rest;
}

bool is_from_elsewhere(std::string_view method, const http::Fields& fields, bool wants_upgrade) {
  const bool only_reads = method == "GET" || method == "HEAD" || method == "OPTIONS";
  if (only_reads && !wants_upgrade) return false;
  const std::string_view origin = http::first(fields, "origin");
  if (origin.empty()) return false;  // No browser: they always say it here.
  const std::size_t end = origin.find("://");
  if (end == origin.npos) return true;  // "null"
  return to_lower_ascii(origin.substr(end + 3)) != to_lower_ascii(http::first(fields, "host"));
}

bool is_part_of_foreign_page(const http::Fields& fields) {
  return http::first(fields, "sec-fetch-site") == "cross-site" &&
         http::first(fields, "sec-fetch-mode") != "navigate";
}

bool is_part_of_own_page(const http::Fields& fields) {
  return http::first(fields, "sec-fetch-site") == "same-origin" &&
         http::first(fields, "sec-fetch-mode") != "navigate";
}

std::string cookie_of(std::string_view token, const PreviewPlace& place,
                      std::chrono::seconds lifetime, bool is_https) {
  std::string cookie = std::string(kPreviewCookie) + "=" + std::string(token) +
                       "; Path=" + place.prefix + "/; Max-Age=" + std::to_string(lifetime.count()) +
                       "; HttpOnly";
  const bool may_be_embedded = place.prefix.empty() && is_https;
  cookie += may_be_embedded ? "; Secure; SameSite=None; Partitioned" : "; SameSite=Lax";
  return cookie;
}

std::string own_cookie(std::string_view set_cookie, const std::string& prefix) {
  const std::string_view pair = trim(set_cookie.substr(0, set_cookie.find(';')));
  const bool has_name = !pair.empty() && !pair.starts_with('=');
  if (!has_name || names_our_cookie(pair)) return {};
  std::string kept;
  std::string path = "/";
  for (const std::string_view part : split(set_cookie, ';')) {
    const std::string_view attribute = trim(part);
    const std::string name = to_lower_ascii(trim(attribute.substr(0, attribute.find('='))));
    const bool is_first = kept.empty();
    if (!is_first && name == "domain") continue;
    if (!is_first && name == "path") {
      const std::size_t equals = attribute.find('=');
      const std::string_view value =
          equals == attribute.npos ? std::string_view() : trim(attribute.substr(equals + 1));
      if (value.starts_with("/")) path = value;
      continue;
    }
    kept += (is_first ? "" : "; ") + std::string(attribute);
  }
  return kept + "; Path=" + prefix + path;
}

}  // namespace cellar::api
