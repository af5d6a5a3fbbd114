#pragma once

#include <cstdint>
#include <functional>

#include "cli/api.h"
#include "cli/event_stream.h"

namespace cellar::cli {

// An event stream that is read to its end, over as many connections as it takes.
struct Following {
  enum class Connections : std::uint8_t { one, many };

  // Asks for what has not come yet: called for each connection.
  std::function<Request()> request;
  std::function<void(const StreamEvent& event)> take;
  // Behind which event to go on, as the connection that has ended said, with an event or without;
  // may be empty.
  std::function<void(const std::string& id)> go_on_behind = {};
  // Nothing more is wanted.
  std::function<bool()> is_done;
  Connections connections = Connections::many;
};

// Until it is done; with one connection, until that ends. A daemon that is away for a while, once
// it was there, is no end: it may be restarting. Throws Error as Api::stream() does.
void follow(Api& api, const Following& following);

}  // namespace cellar::cli
