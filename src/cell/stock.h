#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "async/task_group.h"
#include "cell/capacity.h"

namespace cellar::cell {

namespace asio = boost::asio;

// What is made before anybody asks for it.
struct Stock {
  std::string what;                 // for the log: "warm agent"
  std::chrono::milliseconds pause;  // between two looks: who has just taken one needs the processor
  std::uint64_t room_bytes;         // what must be left above the reserve of memory for one more
  std::function<bool()> lacks_one;
  std::function<asio::awaitable<void>()> make_one;
};

// Makes them one after the other until it is canceled; a failure is told once, and the next attempt
// comes later and later. What is being made is made in `makings` to its end. `capacity` and
// `makings` must outlive it. Loop thread only.
asio::awaitable<void> keep_stock(Stock stock, Capacity& capacity, async::TaskGroup& makings);

}  // namespace cellar::cell
