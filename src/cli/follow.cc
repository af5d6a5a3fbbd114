#include "cli/follow.h"

#include <chrono>

#include "base/error.h"
#include "cli/patience.h"

namespace cellar::cli {

void follow(Api& api, const Following& following) {
  const bool is_once = following.connections == Following::Connections::one;
  Patience patience;
  std::chrono::milliseconds retry{0};
  for (;;) {
    EventStreamParser parser;
    bool is_new = false;
    const auto on_event = [&](const StreamEvent& event) {
      is_new = true;
      following.take(event);
    };
    try {
      api.stream(following.request(), [&](const Response&, std::string_view bytes) {
        patience.heard();
        parser.feed(bytes, on_event);
        return following.is_done() ? Flow::stop : Flow::go_on;
      });
      patience.heard();
    } catch (const Error& error) {  // The next connection may mend it.
      if (error.code() != ErrorCode::unavailable || is_once || !patience.is_left()) throw;
    }
    if (is_once || following.is_done()) return;
    const std::string& id = parser.last_id();
    if (following.go_on_behind && !id.empty()) following.go_on_behind(id);
    retry = parser.retry().value_or(retry);
    if (is_new) patience.progressed();
    patience.wait(retry);
  }
}

}  // namespace cellar::cli
