#pragma once

#include "base/event_stream.h"

namespace cellar::cli {

// Of what the daemon sends.
class EventStreamParser : public cellar::EventStreamParser {
 public:
  static constexpr std::size_t kEventBytesMax = 256 << 20;
  EventStreamParser() : cellar::EventStreamParser("the daemon", kEventBytesMax) {}
};

}  // namespace cellar::cli
