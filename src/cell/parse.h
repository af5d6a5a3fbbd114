#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "async/pool.h"
#include "json/json.h"

namespace cellar::cell {

namespace asio = boost::asio;

// What an agent or a client of a cell says, as json::parse() reads it; what is large, on the pool:
// it would hold up all cells. Of less values than that allows, as the caller lets go of them here.
asio::awaitable<json::Value> parse(async::Pool& pool, std::string text);

}  // namespace cellar::cell
