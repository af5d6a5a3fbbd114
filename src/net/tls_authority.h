#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/channel.h"
#include "net/refusal.h"

namespace cellar::net {

// The certificate authority of one cell: what the cell trusts, and nobody else. It makes the
// certificates of hosts whose TLS is opened on the way out. Its key never leaves the daemon but for
// key_text(), which is to be sealed. Loop thread only.
class TlsAuthority {
 public:
  static constexpr std::chrono::hours kLifetime{24 * 365 * 20};
  static constexpr std::chrono::hours kHostLifetime{24 * 90};
  // Hosts whose certificates are kept; then all are made anew.
  static constexpr std::size_t kHostsMax = 256;

  // A new one; `name` is for who looks at the certificate.
  static TlsAuthority make(std::string_view name);
  // What key_text() gave. Throws Error `corrupt`.
  static TlsAuthority from_key_text(const std::string& text);
  TlsAuthority(TlsAuthority&&) noexcept;
  ~TlsAuthority();

  // Key and certificate as PEM: a secret.
  std::string key_text() const;
  // The certificate as PEM.
  const std::string& certificate() const noexcept { return certificate_; }
  // The name that OpenSSL looks for it by in a folder of certificates: "5f3c1a2b.0".
  std::string file_name() const;

  // Answers the TLS of a client, of which `already_read` was read, as the host `name` (name.h):
  // TLS 1.2 or later, HTTP/1.1 only. Throws boost::system::system_error, also after `limit`.
  asio::awaitable<std::unique_ptr<Channel>> accept(asio::ip::tcp::socket socket,
                                                   std::string already_read, std::string name,
                                                   std::chrono::milliseconds limit);

  // What a failure of accept() was: `distrusted` where the client said that it does not take the
  // certificate, `tls_failed` for another failure of TLS; nullopt where it only went away.
  static std::optional<Why> why_refused(const boost::system::error_code& error);
  // Certificate and key for a host as PEM, as of `now`.
  std::string make_host(std::string_view name, WallTime now) const;
  // Makes the certificate of a host before anybody asks for it.
  void prepare(const std::string& name) { host(name); }

 private:
  struct Parts;
  struct Host;
  explicit TlsAuthority(std::unique_ptr<Parts> parts);
  const Host& host(const std::string& name);

  std::unique_ptr<Parts> parts_;
  std::string certificate_;
  std::map<std::string, std::unique_ptr<Host>> hosts_;
};

}  // namespace cellar::net
