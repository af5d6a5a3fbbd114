#include "api/preview_address.h"

#include <algorithm>

#include "base/error.h"
#include "base/port.h"
#include "base/text.h"
#include "net/name.h"

namespace cellar::api {
namespace {

constexpr std::string_view kPathPrefix = "/preview/";

}  // namespace

std::optional<std::string> host_name(std::string_view host_field) {
  std::string host = to_lower_ascii(trim(host_field));
  if (const std::size_t colon = host.rfind(':'); colon != host.npos) {
    if (!host.ends_with("]")) host.resize(colon);
  }
  if (host.ends_with(".")) host.pop_back();
  if (host.empty()) return std::nullopt;
  return host;
}

PreviewDomain PreviewDomain::parse(std::string_view text) {
  PreviewDomain domain;
  std::string rest = to_lower_ascii(trim(text));
  if (rest.empty()) return domain;
  if (const std::size_t end = rest.find("://"); end != rest.npos) {
    domain.scheme_ = rest.substr(0, end);
    rest.erase(0, end + 3);
  }
  if (const std::size_t colon = rest.find(':'); colon != rest.npos) {
    domain.port_ = rest.substr(colon);
    rest.resize(colon);
  }
  domain.host_ = rest;
  const bool is_local = rest == "localhost" || rest.ends_with(".localhost");
  if (domain.scheme_.empty()) domain.scheme_ = is_local ? "http" : "https";
  const bool has_scheme = domain.scheme_ == "http" || domain.scheme_ == "https";
  const bool has_port = domain.port_.empty() || parse_port(domain.port_.substr(1));
  if (net::normal_name(domain.host_) == domain.host_ && has_scheme && has_port) return domain;
  throw Error(ErrorCode::invalid_argument, "invalid_preview_domain",
              "--preview-domain: \"" + std::string(text) + "\" is no domain",
              "write it as cells.example.com, cells.localhost:4750 or http://cells.lan");
}

std::optional<std::string> PreviewDomain::label_of(std::string_view host) const {
  if (!is_set() || host.size() < host_.size() + 2 || !host.ends_with(host_)) return std::nullopt;
  const std::string_view before = host.substr(0, host.size() - host_.size());
  if (before.back() != '.') return std::nullopt;
  const std::string_view label = before.substr(0, before.size() - 1);
  if (label.find('.') != label.npos) return std::nullopt;
  return std::string(label);
}

std::string PreviewDomain::origin_of(std::string_view cell_id,
                                     std::optional<std::uint16_t> port) const {
  const std::string before = port ? std::to_string(*port) + "--" : std::string();
  return scheme_ + "://" + before + std::string(cell_id) + "." + host_ + port_;
}

std::string preview_url(const PreviewDomain& domain, std::string_view cell_id,
                        std::optional<std::uint16_t> port) {
  if (domain.is_set()) return domain.origin_of(cell_id, port) + "/";
  const std::string after = port ? std::to_string(*port) + "/" : std::string();
  return std::string(kPathPrefix) + std::string(cell_id) + "/" + after;
}

PreviewPlace place_of_label(std::string_view label,
                            const std::function<bool(std::string_view)>& exists) {
  PreviewPlace place;
  place.cell_id = std::string(label);
  const std::size_t end = label.find("--");
  if (end == label.npos || exists(label)) return place;
  const auto port = parse_port(label.substr(0, end));
  if (!port) return place;
  place.port = port;
  place.cell_id = std::string(label.substr(end + 2));
  return place;
}

std::optional<PreviewPlace> place_of_path(std::string_view path) {
  if (!path.starts_with(kPathPrefix)) return std::nullopt;
  PreviewPlace place;
  const std::string_view rest = path.substr(kPathPrefix.size());
  const std::size_t id_end = std::min(rest.find('/'), rest.size());
  place.cell_id = std::string(rest.substr(0, id_end));
  std::string_view after = rest.substr(id_end);  // "/…", or empty
  place.prefix = std::string(kPathPrefix) + place.cell_id;
  if (!after.empty()) {
    const std::size_t port_end = std::min(after.find('/', 1), after.size());
    place.port = parse_port(after.substr(1, port_end - 1));
    if (place.port) {
      place.prefix += std::string(after.substr(0, port_end));
      after.remove_prefix(port_end);
    }
  }
  place.path = std::string(after);
  return place;
}

}  // namespace cellar::api
