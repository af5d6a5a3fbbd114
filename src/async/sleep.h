#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <string>

namespace cellar::async {

namespace asio = boost::asio;

// Throws Error `canceled` when the task is canceled.
asio::awaitable<void> sleep_for(std::chrono::milliseconds length);

// Asks `probe` until it says yes: at once, then after 1 ms, 2 ms, 4 ms, up to every `max_pause`.
//
// Throws Error `unavailable`, naming `what`, once `limit` has passed with no yes. An exception from
// `probe` ends the wait and reaches the caller unchanged. May be canceled at every pause. Runs on
// the caller's executor; `probe` must not block.
asio::awaitable<void> poll_until(std::string what, std::function<bool()> probe,
                                 std::chrono::milliseconds limit,
                                 std::chrono::milliseconds max_pause);

}  // namespace cellar::async
