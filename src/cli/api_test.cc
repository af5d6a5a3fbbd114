#include <doctest/doctest.h>

#include "cli/test_call.h"

namespace cellar::cli {
namespace {

bool tells(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("another server that answers with success is named, and is no success") {
  FakeDaemon other([](const Seen&) { return reply(200, "text/html", "<html>data: x\n\n"); });
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"ls"},
                                             {"get", "c"},
                                             {"ps", "c"},
                                             {"events", "c"},
                                             {"runs", "log", "c", "r", "-f"},
                                             {"logs", "c", "p"},
                                             {"exec", "c", "--", "x"},
                                             {"files", "watch", "c"},
                                             {"request", "c", "m"}}) {
    CAPTURE(words[0]);
    const Result result = call(other.url(), words);
    CHECK(result.exit_code == 4);
    CHECK(result.out.empty());
    CHECK(result.err == "cellar: " + other.url() +
                            " is no cellard: its answer is text/html\n"
                            "        --url or CELLAR_URL say where it is\n");
  }
  FakeDaemon silent([](const Seen&) { return reply(200, "text/html", ""); });
  CHECK(call(silent.url(), {"events", "c"}).exit_code == 4);
}

TEST_CASE("a redirect is told with the address that it leads to") {
  FakeDaemon daemon([](const Seen& seen) {
    const std::string place =
        seen.target.find("/cells?") != std::string::npos ? "/login?next=1" : seen.target;
    return "HTTP/1.1 301 X\r\nLocation: https://cells.example.org/base" + place +
           "\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<ht>";
  });
  const Result result = call(daemon.url(), {"get", "c"});
  CHECK(result.exit_code == 1);
  CHECK(result.err ==
        "cellar: the daemon answered with status 301: it is at https://cells.example.org/base\n"
        "        give that address with --url or CELLAR_URL\n");
  CHECK(
      tells(call(daemon.url(), {"ls"}).err, "it is at https://cells.example.org/base/login?next"));
}

TEST_CASE("an address without a host is told as one") {
  for (const std::string url : {"", "/", "http://", "https:///x", "http://:80"}) {
    CAPTURE(url);
    const Result result = call(url, {"ls"});
    CHECK(result.exit_code == 2);
    CHECK(tells(result.err, "the address \"" + url + "\" of the daemon names no host"));
    CHECK(tells(result.err, "--url or CELLAR_URL"));
  }
}

}  // namespace cellar::cli
