#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "async/pool.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "base/clock.h"
#include "certificates/ending.h"
#include "certificates/pair.h"
#include "net/tls_identity.h"

namespace cellar::certificates {

namespace asio = boost::asio;

// The certificates that cellard serves TLS with: that of its own name, from two files, and those of
// customers' domains, from `<dir>/<domain>/fullchain.pem` and `privkey.pem`, which an operator puts
// there, or else from what was got by ACME (order.h). Files are read again
// when they change; a pair that is not good is told, and the one before stays in use. That one in
// use ends is told, too (ending.h).
//
// Loop thread only; the disk is the pool's.
class Certificates {
 public:
  struct Options {
    PairFiles base;
    std::string dir;                           // a folder for each domain; need not be there
    std::chrono::milliseconds look{5000};      // at the files, as often
    std::function<WallTime()> now = wall_now;  // any thread
  };
  // Whether a name is a customer's, who has proven it. Others are not shown a certificate for it.
  using IsVerified = std::function<bool(const std::string& domain)>;
  // When what is shown to clients ends.
  struct Ends {
    WallTime base;
    std::optional<WallTime> domains;  // the first of them; nullopt where none has a certificate
  };

  // `pool` must outlive it. Reads the base pair: blocks for a moment. Throws Error where that is
  // not good.
  Certificates(asio::any_io_executor executor, async::Pool& pool, Options options,
               IsVerified is_verified);

  net::TlsIdentities& identities() noexcept { return identities_; }

  // Looks at the files now and then from now on.
  void start();
  // Looks at them now: what is in use when this returns is what they hold, where that is good. What
  // goes wrong is logged.
  asio::awaitable<void> reread();
  // What is in use for a domain; nullopt where nothing is.
  std::optional<net::TlsIdentity> identity(const std::string& domain) const;
  // Whether that is an operator's.
  bool is_operators(const std::string& domain) const;
  Ends ends() const;
  asio::awaitable<void> close();

 private:
  struct Known {
    std::string digest;
    std::optional<net::TlsIdentity> identity;
    bool is_operators = false;
    ToldEnding told;
  };

  asio::awaitable<void> keep();
  asio::awaitable<void> reread_all();
  void take_base(Look look);
  void take(const std::string& domain, Look look, bool is_operators);
  void tell_endings();

  async::Pool& pool_;
  Options options_;
  IsVerified is_verified_;
  std::string base_digest_;
  ToldEnding base_told_;
  net::TlsIdentities identities_;
  std::map<std::string, Known> domains_;
  async::Serial turns_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::certificates
