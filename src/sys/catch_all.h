#pragma once

#include "sys/fd.h"

namespace cellar::sys {

// Lets `listener` accept every TCP connection that is made in the network namespace
// `network_namespace` to an address that is no loopback one (127.0.0.0/8, ::1), whatever else
// listens there; getsockname() of what it accepts says where to. It listens in that namespace, for
// IPv4 and IPv6, and may be bound to any port. Ends when the descriptor that this gives is closed.
//
// It is a BPF program of the type sk_lookup: Linux 5.9 or later, CAP_BPF and CAP_NET_ADMIN of the
// machine. Takes some 0.2 ms. Throws Error.
Fd catch_all(int network_namespace, int listener);

// Throws the Error that catch_all() would, as far as it can be known without a namespace.
void try_catch_all();

}  // namespace cellar::sys
