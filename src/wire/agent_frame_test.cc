#include "wire/agent_frame.h"

#include <doctest/doctest.h>

namespace cellar::wire {

TEST_CASE("a frame says how long its header and its body are") {
  const std::string frame = encode_agent_frame(R"({"t":"x"})", "body");
  const auto sizes = decode_agent_prefix(frame);
  REQUIRE(sizes.has_value());
  CHECK(frame.substr(kAgentPrefixBytes, sizes->header) == R"({"t":"x"})");
  CHECK(frame.substr(kAgentPrefixBytes + sizes->header) == "body");
  CHECK(sizes->body == 4);
}

TEST_CASE("a size above its limit is refused before anything is allocated for it") {
  CHECK_FALSE(decode_agent_prefix(std::string(8, '\xff')).has_value());
}

}  // namespace cellar::wire
