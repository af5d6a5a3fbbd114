#include "wire/agent_frame.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::wire {

TEST_CASE("a frame says how long its header and its body are") {
  std::string frame = "before";
  begin_agent_frame(frame, R"({"t":"x"})", 4);
  frame = frame.substr(6) + "body";
  const auto sizes = decode_agent_prefix(frame);
  REQUIRE(sizes.has_value());
  CHECK(frame.substr(kAgentPrefixBytes, sizes->header) == R"({"t":"x"})");
  CHECK(frame.substr(kAgentPrefixBytes + sizes->header) == "body");
  CHECK(sizes->body == 4);
}

TEST_CASE("a size above its limit is refused before anything is allocated for it") {
  CHECK_FALSE(decode_agent_prefix(std::string(8, '\xff')).has_value());
}

TEST_CASE("a frame that is more than the other side takes is not begun") {
  std::string frame;
  begin_agent_frame(frame, "{}", kAgentBodyMax);
  CHECK(frame.size() == kAgentPrefixBytes + 2);
  CHECK_THROWS_AS(begin_agent_frame(frame, "{}", kAgentBodyMax + 1), Error);
  CHECK_THROWS_AS(begin_agent_frame(frame, std::string(kAgentHeaderMax + 1, ' '), 0), Error);
  CHECK(frame.size() == kAgentPrefixBytes + 2);
  begin_agent_frame(frame, "", kAgentImageMax, kAgentImageMax);
  CHECK(decode_agent_prefix(frame.substr(kAgentPrefixBytes + 2)) == std::nullopt);
}

}  // namespace cellar::wire
