#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <utility>

namespace cellar::async {

namespace asio = boost::asio;

// For tests: runs `task` on this loop until nothing is left to do there; rethrows what it throws.
inline void run_on(asio::io_context& loop, asio::awaitable<void> task) {
  std::exception_ptr error;
  auto done = [&](const std::exception_ptr& what) { error = what; };
  asio::co_spawn(loop, std::move(task), done);
  loop.run();
  if (error) std::rethrow_exception(error);
}

}  // namespace cellar::async
