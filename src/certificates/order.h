#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/clock.h"
#include "net/tls_identity.h"

// A domain whose certificate is to be got, and renewed, by ACME: pure, but for the files.
namespace cellar::certificates {

struct Order {
  int failures = 0;  // one after the other
  WallTime attempted_at;
  std::string problem;  // of the last attempt; empty: it worked, or there was none
};

struct OrderTimes {
  // Between attempts, also where a new certificate is so near its end that it is to be renewed;
  // twice as long after each further failure.
  std::chrono::seconds first_pause{300};
  std::chrono::seconds pause_max{86'400};
};

// When the next attempt is to be made. A certificate is renewed when a third of its time is left.
WallTime due_at(const Order& order, const std::optional<net::TlsIdentity>& identity,
                const OrderTimes& times);

// The record of an order, in the folder of its domain. Writing is durable. Blocking; throws Error.
std::optional<Order> read_order(const std::string& folder);
void write_order(const std::string& folder, const Order& order);
// With the certificate that was got; what an operator put there stays.
void remove_order(const std::string& folder);

// The file that holds both a certificate got by ACME, with its chain, and its key.
std::string issued_file(const std::string& folder);

}  // namespace cellar::certificates
