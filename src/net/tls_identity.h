#pragma once

#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace cellar::net {

namespace asio = boost::asio;

// A certificate with its chain and its key, checked: what a server proves a name with. Copies share
// what never changes.
class TlsIdentity {
 public:
  // `chain` is the certificate and those between it and a root, `key` its private key, as PEM.
  // Throws Error `invalid_argument`, reason `invalid_certificate`, that says what is wrong: a text
  // that does not read, an encrypted key, or one of another certificate, a time that is over.
  static TlsIdentity from_pem(const std::string& chain, const std::string& key, WallTime now);

  WallTime valid_from() const noexcept { return valid_from_; }
  WallTime expires_at() const noexcept { return expires_at_; }
  // Whether it proves the host `name`, in lower case.
  bool covers(const std::string& name) const;
  // Whether it is the very same certificate.
  bool operator==(const TlsIdentity& other) const { return certificate_ == other.certificate_; }

 private:
  friend class TlsIdentities;
  TlsIdentity() = default;

  std::shared_ptr<asio::ssl::context> context_;
  std::string certificate_;  // DER
  WallTime valid_from_;
  WallTime expires_at_;
};

// What cellard shows to clients that connect by TLS: the identity of the name that they ask for, or
// else the base one. TLS 1.2 or later, HTTP/1.1. A change holds for the next handshake; what is
// open goes on. Loop thread only.
class TlsIdentities {
 public:
  // `base` is shown where no other fits.
  explicit TlsIdentities(TlsIdentity base);
  TlsIdentities(const TlsIdentities&) = delete;
  TlsIdentities& operator=(const TlsIdentities&) = delete;

  const TlsIdentity& base() const noexcept { return base_; }
  void set_base(TlsIdentity identity) { base_ = std::move(identity); }
  // Of the host `name`, in lower case; nullopt forgets it.
  void set(const std::string& name, std::optional<TlsIdentity> identity);

  // For one connection.
  asio::ssl::context& context() noexcept { return context_; }

 private:
  static int choose(SSL* connection, int* alert, void* self);

  TlsIdentity base_;
  std::map<std::string, TlsIdentity, std::less<>> by_name_;
  asio::ssl::context context_{asio::ssl::context::tls_server};
};

}  // namespace cellar::net
