#include <doctest/doctest.h>

#include "cli/fake_daemon.h"
#include "cli/test_call.h"

namespace cellar::cli {
TEST_CASE("reload tells what was taken and what needs a restart") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200, R"({"taken":["log-level"],"needs_restart":["listen"]})");
  });
  CHECK(call(daemon.url(), {"reload"}).out == "log-level\ttaken\nlisten\tneeds_restart\n");
  CHECK(daemon.seen().at(0).method == "POST");
  CHECK(daemon.seen().at(0).target == "/api/v1/reload");
}

}  // namespace cellar::cli
