#include "certificates/certificates.h"

#include <algorithm>

#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"
#include "certificates/order.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::certificates {
namespace {

// Sets `digest`. Throws Error.
net::TlsIdentity read_base(const PairFiles& files, WallTime now, std::string& digest) {
  Look look = look_at(files, "", "", now);
  digest = look.digest;
  if (look.identity) return std::move(*look.identity);
  throw Error(ErrorCode::invalid_argument, "invalid_certificate",
              "--tls-cert " + files.chain + ", --tls-key " + files.key + ": " + look.problem,
              "name a PEM file of the certificate with its chain, and one of its key");
}

PairFiles operators_files(const std::string& folder) {
  return {folder + "/fullchain.pem", folder + "/privkey.pem"};
}

struct DomainLook {
  Look look;
  bool is_operators = false;
};

// nullopt where no certificate is there, or only its order.
std::optional<DomainLook> look_into(const std::string& folder, const std::string& digest,
                                    const std::string& domain, WallTime now) {
  const PairFiles own = operators_files(folder);
  if (sys::exists(own.chain) || sys::exists(own.key)) {
    return DomainLook{look_at(own, digest, domain, now), true};
  }
  const std::string issued = issued_file(folder);
  if (!sys::exists(issued)) return std::nullopt;
  return DomainLook{look_at({issued, issued}, digest, domain, now), false};
}

void tell_ending(const std::string& whose, Ending ending, WallTime end) {
  if (ending == Ending::near) {
    log::warning("{}: ends at {}, and no other one has taken its place", whose, to_iso8601(end));
  } else if (ending == Ending::over) {
    log::error("{}: is over since {}: clients refuse it, and so does cellard at its next start",
               whose, to_iso8601(end));
  }
}

}  // namespace

Certificates::Certificates(asio::any_io_executor executor, async::Pool& pool, Options options,
                           IsVerified is_verified)
    : pool_(pool),
      options_(std::move(options)),
      is_verified_(std::move(is_verified)),
      identities_(read_base(options_.base, options_.now(), base_digest_)),
      turns_(executor),
      tasks_(executor) {}

void Certificates::start() { tasks_.spawn(keep()); }

asio::awaitable<void> Certificates::keep() {
  for (;;) {
    co_await reread();
    co_await async::sleep_for(options_.look);
  }
}

asio::awaitable<void> Certificates::reread() {
  try {
    co_await reread_all();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("certificates: {}", error.what());
  }
}

asio::awaitable<void> Certificates::reread_all() {
  const auto turn = co_await turns_.turn();
  std::map<std::string, std::string> digests;
  for (const auto& [domain, known] : domains_) digests[domain] = known.digest;
  struct Seen {
    Look base;
    std::map<std::string, DomainLook> domains;
  };
  auto look = [options = options_, base = base_digest_, digests = std::move(digests)] {
    Seen seen;
    const WallTime now = options.now();
    seen.base = look_at(options.base, base, "", now);
    for (const std::string& domain : sys::folders_in(options.dir)) {
      const auto known = digests.find(domain);
      const std::string digest = known == digests.end() ? std::string() : known->second;
      auto found = look_into(options.dir + "/" + domain, digest, domain, now);
      if (found) seen.domains[domain] = std::move(*found);
    }
    return seen;
  };
  Seen seen = co_await async::offload(pool_, std::move(look));
  take_base(std::move(seen.base));
  std::erase_if(domains_, [&](const auto& known) {
    const bool is_gone = !seen.domains.contains(known.first);
    if (is_gone) identities_.set(known.first, std::nullopt);
    return is_gone;
  });
  for (auto& [domain, found] : seen.domains) {
    take(domain, std::move(found.look), found.is_operators);
  }
  tell_endings();
}

void Certificates::take_base(Look look) {
  base_digest_ = std::move(look.digest);
  if (!look.problem.empty()) {
    log::error("--tls-cert {}: {}; the certificate of before stays in use", options_.base.chain,
               look.problem);
  }
  if (!look.identity) return;
  log::info("--tls-cert {}: in use, until {}", options_.base.chain,
            to_iso8601(look.identity->expires_at()));
  identities_.set_base(std::move(*look.identity));
}

void Certificates::take(const std::string& domain, Look look, bool is_operators) {
  Known& known = domains_[domain];
  known.is_operators = is_operators;
  known.digest = std::move(look.digest);
  if (look.identity) {
    log::info("certificate of {}: read, until {}", domain, to_iso8601(look.identity->expires_at()));
    known.identity = std::move(look.identity);
  }
  if (!look.problem.empty()) {
    log::error("certificate of {}: {}{}", domain, look.problem,
               known.identity ? "; the one of before stays in use" : "");
  }
  const bool is_shown = known.identity && is_verified_(domain);
  identities_.set(domain, is_shown ? known.identity : std::nullopt);
}

void Certificates::tell_endings() {
  const WallTime now = options_.now();
  const std::string base = "--tls-cert " + options_.base.chain;
  tell_ending(base, base_told_.next(identities_.base(), now), identities_.base().expires_at());
  for (auto& [domain, known] : domains_) {
    if (!known.identity || !is_verified_(domain)) continue;
    const Ending ending = known.told.next(*known.identity, now);
    tell_ending("certificate of " + domain, ending, known.identity->expires_at());
  }
}

Certificates::Ends Certificates::ends() const {
  Ends ends{.base = identities_.base().expires_at(), .domains = std::nullopt};
  for (const auto& [domain, known] : domains_) {
    if (!known.identity || !is_verified_(domain)) continue;
    const WallTime end = known.identity->expires_at();
    ends.domains = std::min(ends.domains.value_or(end), end);
  }
  return ends;
}

std::optional<net::TlsIdentity> Certificates::identity(const std::string& domain) const {
  const auto known = domains_.find(domain);
  return known == domains_.end() ? std::nullopt : known->second.identity;
}

bool Certificates::is_operators(const std::string& domain) const {
  const auto known = domains_.find(domain);
  return known != domains_.end() && known->second.is_operators;
}

asio::awaitable<void> Certificates::close() { co_await tasks_.close(); }

}  // namespace cellar::certificates
