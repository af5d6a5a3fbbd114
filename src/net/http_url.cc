#include "net/http_url.h"

#include <boost/asio/ip/address.hpp>

#include "base/text.h"
#include "net/name.h"
#include "net/request_head.h"

namespace cellar::net {
namespace {

constexpr std::size_t kBasePathMax = 1024;
constexpr std::uint16_t kUrlHttpPort = 80;
constexpr std::uint16_t kUrlTlsPort = 443;

// "" where it is neither a name nor an address.
std::string host_of(std::string_view text) {
  const bool is_bracketed = text.starts_with('[') && text.ends_with(']');
  if (is_bracketed) text = text.substr(1, text.size() - 2);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(text), error);
  if (!error) return address.is_v6() == is_bracketed ? address.to_string() : "";
  return is_bracketed ? "" : normal_name(text).value_or("");
}

}  // namespace

bool HttpUrl::is_loopback() const {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return error ? host == "localhost" : address.is_loopback();
}

std::optional<HttpUrl> parse_http_url(std::string_view text) {
  HttpUrl url;
  url.by_tls = text.starts_with("https://");
  if (!url.by_tls && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(url.by_tls ? 8 : 7);
  const std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  std::string_view base = text.substr(authority.size());
  while (base.ends_with('/')) base.remove_suffix(1);
  const bool is_path = base.empty() || (base.starts_with('/') && plain_path(base) == base);
  if (!is_path || base.size() > kBasePathMax || base.find_first_of(" ?#\t") != base.npos) {
    return std::nullopt;
  }
  std::string_view host = authority;
  url.port = url.by_tls ? kUrlTlsPort : kUrlHttpPort;
  const std::size_t colon = authority.rfind(':');
  if (colon != authority.npos && authority.find(']', colon) == authority.npos) {
    const auto port = parse_int(authority.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) return std::nullopt;
    url.port = static_cast<std::uint16_t>(*port);
    host = authority.substr(0, colon);
  }
  url.host = host_of(host);
  if (url.host.empty()) return std::nullopt;
  url.authority = authority;
  url.base = base;
  return url;
}

}  // namespace cellar::net
