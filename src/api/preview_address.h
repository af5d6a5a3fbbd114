#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

// Which cell's preview a request is for, and what a preview's address is: pure.
namespace cellar::api {

// The base domain that previews are below, as it is configured: "cells.example.com",
// "cells.localhost:4750", "http://cells.lan".
class PreviewDomain {
 public:
  PreviewDomain() = default;  // there is none: previews have paths
  // Throws Error `invalid_argument`, reason `invalid_preview_domain`.
  static PreviewDomain parse(std::string_view text);

  bool is_set() const noexcept { return !host_.empty(); }
  // Lower case, no port.
  const std::string& host() const noexcept { return host_; }
  // "https", or "http" where that was said, or where it is localhost.
  const std::string& scheme() const noexcept { return scheme_; }
  // The label of a host name right below it; nullopt for any other name.
  std::optional<std::string> label_of(std::string_view host) const;
  // "https://3000--dev--a.cells.example.com"; without a port: of the default one.
  std::string origin_of(std::string_view cell_id, std::optional<std::uint16_t> port) const;

 private:
  std::string scheme_;
  std::string host_;
  std::string port_;  // ":4750"; empty: the scheme's own
};

// The name in a Host field, in lower case, without port and final dot; nullopt for none.
std::optional<std::string> host_name(std::string_view host_field);

// Of a preview: its origin and "/", or where there is no base domain the path
// "/preview/ID/[PORT/]" on the daemon's own host.
std::string preview_url(const PreviewDomain& domain, std::string_view cell_id,
                        std::optional<std::uint16_t> port);

struct PreviewPlace {
  std::string cell_id;
  std::optional<std::uint16_t> port;  // nullopt: the default one
  std::string prefix;                 // of paths, "/preview/dev--a/3000"; empty on an own host
  std::string path;                   // what is left of the path: "/a"
  bool operator==(const PreviewPlace&) const = default;
};

// Of a label "dev--a" or "3000--dev--a". Ids hold "--" themselves and may begin with digits: a
// label that is a cell's id is that cell. `exists` says which are.
PreviewPlace place_of_label(std::string_view label,
                            const std::function<bool(std::string_view)>& exists);

// Of a path "/preview/ID/PORT/…" or "/preview/ID/…"; nullopt for any other path. Of
// "/preview/ID" and "/preview/ID/PORT" the rest is empty: they lack their "/".
std::optional<PreviewPlace> place_of_path(std::string_view path);

}  // namespace cellar::api
