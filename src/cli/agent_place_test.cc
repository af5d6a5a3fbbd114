#include "cli/agent_place.h"

#include <doctest/doctest.h>

#include "json/json.h"

namespace cellar::cli {
namespace {

std::string place(const std::string& stack) {
  return place_in_agent(json::object({{"message", "m"}, {"stack", stack}}));
}

}  // namespace

TEST_CASE("an error's place is the innermost one in the agent's own file") {
  CHECK(place("TypeError: m\n    at inner (/data/versions/6f2e.js:3:14)\n"
              "    at Object.a (/data/versions/6f2e.js:9:1)\n    at /opt/cellar/all.js:1:2") ==
        "agent.js:3:14");
  CHECK(place("Error: m\n    at file:///data/versions/6f2e.mjs:3:14") == "agent.mjs:3:14");
  CHECK(place("/data/versions/6f2e.js:2\n\nSyntaxError: m") == "agent.js:2");
  CHECK(place("Traceback (most recent call last):\n  File \"/data/versions/8d.py\", line 9, in a\n"
              "  File \"/data/versions/8d.py\", line 2, in b\nZeroDivisionError: m\n") ==
        "agent.py:2");
  for (const char* stack : {"", "Error: m\n    at /opt/cellar/all.js:1:2", "/data/versions/",
                            "/data/versions/6f2e.js", "/data/versions/6f2e.js:x"}) {
    CAPTURE(stack);
    CHECK(place(stack).empty());
  }
  CHECK(place_in_agent(json::Value("m")).empty());
}

}  // namespace cellar::cli
