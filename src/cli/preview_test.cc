#include <doctest/doctest.h>

#include "cli/command_line.h"
#include "cli/test_call.h"

namespace cellar::cli {
namespace {

// The daemon's answer to everything.
std::string say_preview(const Seen& seen) {
  if (seen.target.ends_with("/preview-links")) {
    return json_reply(201, R"({"url":"http://h/?t","expires_at":"x"})");
  }
  if (seen.target.ends_with("/paths")) return json_reply(200, R"({"preview_url":"/preview/c/"})");
  return json_reply(200, R"({"preview_url":"https://c.cells.org/"})");
}

}  // namespace

TEST_CASE("a preview's address is told, of its default port and of another one") {
  FakeDaemon daemon(say_preview);
  CHECK(call(daemon.url(), {"preview", "c"}).out == "https://c.cells.org/\n");
  CHECK(call(daemon.url(), {"preview", "c", "3000"}).out == "https://3000--c.cells.org/\n");
  CHECK(call(daemon.url(), {"preview", "paths", "3000"}).out ==
        daemon.url() + "/preview/c/3000/\n");
  CHECK(call(daemon.url(), {"preview", "c", "--public"}).exit_code == 0);
  CHECK(body_of(daemon.seen().back()) == json::object({{"access", "public"}}));
}

TEST_CASE("a link is asked for with its port and its time") {
  FakeDaemon daemon(say_preview);
  CHECK(call(daemon.url(), {"preview", "c", "3000", "--link", "--expires", "1h"}).out ==
        "http://h/?t\n");
  CHECK(body_of(daemon.seen().back()) == json::object({{"port", 3000}, {"expires_in_s", 3600}}));
  CHECK(call(daemon.url(), {"preview", "c", "--link", "--expires", "soon"}).exit_code == 2);
  CHECK(call(daemon.url(), {"preview", "c", "--expires", "1h"}).exit_code == 2);
}

TEST_CASE("a time is a number with a unit") {
  CHECK(parse_seconds("90") == 90);
  CHECK(parse_seconds("90s") == 90);
  CHECK(parse_seconds("7d") == 604'800);
  for (const char* wrong : {"", "h", "0", "-1h", "1w", "1.5h", "99999999999d"}) {
    CHECK_FALSE(parse_seconds(wrong));
  }
}

}  // namespace cellar::cli
