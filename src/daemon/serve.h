#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/signal_set.hpp>
#include <string>
#include <vector>

#include "cell/machine.h"
#include "cell/secrets.h"
#include "daemon/config.h"
#include "net/policy.h"

namespace cellar::daemon {

namespace asio = boost::asio;

void set_log(const Config& config);

// What a reload needs besides what it changes.
struct Reloading {
  std::vector<std::string> arguments;  // of the command line
  asio::signal_set& asked;             // SIGHUP
  net::Policy& forwards;
};

// Opens the cells and answers until one of `signals`, which may come from the first moment on.
// Throws Error where it cannot listen, and where cellar-spawn has ended.
asio::awaitable<void> serve(const Config& config, const cell::Machine& machine,
                            const cell::Sealer& sealer, asio::signal_set& signals,
                            Reloading reloading);

}  // namespace cellar::daemon
