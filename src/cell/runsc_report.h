#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>

#include "sys/fd.h"

namespace cellar::cell {

namespace asio = boost::asio;

// Waits until a start of runsc that the spawner has begun is done (sandbox::RunscStarted). Throws
// Error: `internal` with what was told on the way, `unavailable` where it is not done within
// `limit`. What is left of it then, the caller ends.
asio::awaitable<void> await_runsc(sys::Fd report, std::chrono::milliseconds limit);

}  // namespace cellar::cell
