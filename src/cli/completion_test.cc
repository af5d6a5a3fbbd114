#include <doctest/doctest.h>

#include "cli/test_call.h"

namespace cellar::cli {
namespace {

constexpr std::string_view kCells = R"({"cells":[{"cell_id":"ann","state":"active"},
  {"cell_id":"bob","state":"paused"}]})";

// The words that are offered for the last one of these.
std::vector<std::string> offered(std::vector<std::string> words) {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, kCells); });
  words.insert(words.begin(), {"complete", "--"});
  const Result result = call(daemon.url(), words);
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  std::vector<std::string> texts;
  for (const std::string_view line : split(result.out, '\n')) {
    if (!line.empty()) texts.emplace_back(line.substr(0, line.find('\t')));
  }
  return texts;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("commands, their options and cells are offered where they may stand") {
  CHECK(offered({"key"}) == offered({"--url", "x", "key"}));
  CHECK(offered({"wak"}) == Words{"wake-at"});
  CHECK(offered({"complete"}) == Words{});  // nobody types it
  CHECK(offered({"runs", "aw"}) == Words{"await"});
  CHECK(offered({"pause", ""}) == Words{"ann", "bob"});
  CHECK(offered({"pause", "b"}) == Words{"bob"});
  CHECK(offered({"pause", "ann", ""}) == Words{});
  CHECK(offered({"deploy", "here", "ann", "b"}) == Words{"bob"});
  CHECK(offered({"search", "--limit", "3", "a"}) == Words{"ann"});
  CHECK(offered({"search", "--limit", ""}) == Words{});
  CHECK(offered({"search", "--limit=3", "a"}) == Words{"ann"});
  CHECK(offered({"search", "--symbols", "a"}) == Words{"ann"});
  CHECK(offered({"search", "--sym"}) == Words{"--symbols"});
  CHECK(offered({"search", "--ur"}) == Words{"--url"});
  CHECK(offered({"exec", "ann", "--", "a"}) == Words{});
  const Words all = offered({});
  CHECK(std::find(all.begin(), all.end(), "exec") != all.end());
}

TEST_CASE("while somebody types, a daemon that is away is no error") {
  const Result result = call("http://127.0.0.1:1", {"complete", "--", "pause", ""});
  CHECK(result.exit_code == 0);
  CHECK(result.out.empty());
  CHECK(result.err.empty());
}

TEST_CASE("there is a script for each shell that is known") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Result result = call("http://127.0.0.1:1", {"completion", shell});
    CHECK(result.exit_code == 0);
    CHECK(result.out.find(" complete -- ") != std::string::npos);
  }
  CHECK(call("http://127.0.0.1:1", {"completion", "csh"}).exit_code == 2);
}

}  // namespace cellar::cli
