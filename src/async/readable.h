#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <memory>
#include <optional>

namespace cellar::async {

namespace asio = boost::asio;

// Shared with the timer of a wait, which may ring after the wait has ended.
using SharedDescriptor = std::shared_ptr<asio::posix::stream_descriptor>;

// Waits until there is something to read. False where `limit` passed first, or somebody canceled
// the descriptor. Throws Error `canceled` when the waiting task is canceled. Loop thread only.
asio::awaitable<bool> readable(SharedDescriptor descriptor,
                               std::optional<std::chrono::milliseconds> limit = std::nullopt);

}  // namespace cellar::async
