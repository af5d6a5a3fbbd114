#pragma once

#include <boost/asio/awaitable.hpp>

#include "cell/supervisor.h"
#include "certificates/orders.h"
#include "http/exchange.h"

namespace cellar::api {

namespace asio = boost::asio;

// Shows an ACME server (HTTP-01) the proofs that the operator's program has put into its webroot,
// for verified domains of customers only. Loop thread only.
class Proofs {
 public:
  // Both must outlive it; without `orders` it takes nothing.
  Proofs(const cell::Supervisor& supervisor, certificates::Orders* orders)
      : supervisor_(supervisor), orders_(orders) {}

  // Whether a request is for a proof.
  bool takes(const http::Request& request) const;
  // Answers one that is.
  asio::awaitable<void> handle(http::Exchange& exchange);

 private:
  const cell::Supervisor& supervisor_;
  certificates::Orders* orders_;
};

}  // namespace cellar::api
