#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/pool.h"
#include "cell/layout.h"
#include "cell/secrets.h"
#include "json/value.h"
#include "net/injection.h"
#include "net/tls_authority.h"
#include "sandbox/spec.h"

namespace cellar::cell {

namespace asio = boost::asio;

// A secret of a cell. With `hosts` it never comes into the cell: that sees a placeholder, and the
// value is put in on the way out. Without, it is a variable of the agent host.
struct Secret {
  static constexpr std::size_t kBoundBytesMin = 8;  // of the value: less is found by trying
  static constexpr std::size_t kBoundBytesMax = 8 << 10;
  static constexpr std::size_t kHostsMax = 32;

  std::string value;
  std::vector<std::string> hosts;  // as net::HostPattern has them
  std::string header;              // set with the value in each request to them; empty: none
  bool in_shell = false;           // commands may use it, too
  std::string placeholder;         // with hosts, once it is stored

  bool is_bound() const noexcept { return !hosts.empty(); }
};
using SecretSet = std::map<std::string, Secret>;
// The reason of an error: the key that would open them is not there.
inline constexpr std::string_view kSecretsSealed = "secrets_sealed";
inline constexpr std::size_t kSecretsMax = 256;          // of a cell
inline constexpr std::size_t kSecretsOfHostMax = 32;     // each is looked for in all it sends
inline constexpr std::size_t kSecretNameBytesMax = 256;  // of A-Z a-z 0-9 _ - .

// A text, or {value, hosts, header?, shell?}. Throws Error `invalid_argument`, naming the secret.
Secret read_secret(const std::string& name, const json::Value& value);
// An object of them. Throws as read_secret().
SecretSet read_secrets(const json::Value& value);
// Throws Error `invalid_argument`, reason `invalid_secret`.
void check(const SecretSet& secrets);
// What may be shown of one: all but the value.
json::Value to_json(const std::string& name, const Secret& secret);

// Keeps a cell's secrets and the key of its certificate authority, sealed on disk and, from the
// first use on, in the daemon's memory. Loop thread only.
class Vault {
 public:
  // Where domains see the authority's certificate: the agent's, the shell's.
  static constexpr const char* kAgentCaFolder = "/data/trust";
  static constexpr const char* kCaName = "cellar-cell.crt";
  static constexpr const char* kShellCaFile = "/etc/ssl/cellar-cell.crt";

  // All must outlive it.
  Vault(async::Pool& pool, const Sealer& sealer, const CellLayout& layout, std::string cell_id);

  struct Contents {
    SecretSet secrets;
    std::shared_ptr<net::TlsAuthority> authority;  // of the cell, where it has one

    // Variables of the agent host, or of commands.
    Secrets environment(sandbox::DomainKind kind) const;
    std::shared_ptr<const net::Injection> injection(sandbox::DomainKind kind) const;
  };
  // Throws Error `unavailable`, reason `secrets_sealed`, where it was sealed with another key.
  asio::awaitable<std::shared_ptr<const Contents>> open();
  // The same where something of it concerns the way out; else nothing is in it, and nothing is
  // read but whether that is so.
  asio::awaitable<std::shared_ptr<const Contents>> open_for_network();
  // Durable when it returns. A secret keeps its placeholder by its name; the first one with hosts
  // makes the cell's authority. What was sealed with another key is given up.
  asio::awaitable<void> store(SecretSet secrets);
  // Makes the cell's authority, where it has none. Durable when it returns.
  asio::awaitable<void> require_authority();

 private:
  Contents read() const;
  std::shared_ptr<net::TlsAuthority> make_authority() const;
  // A job that writes the key, and the certificate where the cell's agent sees it.
  std::function<void()> write_authority(const net::TlsAuthority& authority) const;

  async::Pool& pool_;
  const Sealer& sealer_;
  const CellLayout& layout_;
  const std::string cell_id_;
  std::shared_ptr<const Contents> contents_;  // shared with who uses it while it changes
};

// What a command in the shell domain has to do so that its programs trust the authority: a shell's
// line that reads the certificate; `file_name` is TlsAuthority::file_name().
std::vector<std::string> trust_command(const std::string& file_name);

}  // namespace cellar::cell
