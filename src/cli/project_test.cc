#include <doctest/doctest.h>

#include "cli/test_call.h"
#include "testing/temp_dir.h"

namespace cellar::cli {
namespace {

std::string content_at(const std::string& path) { return sys::read_file(path).value_or(""); }

// A daemon with the cells "a", which has no agent, and "b", which has another one than it gets.
FakeDaemon two_cells() {
  return FakeDaemon([](const Seen& seen) {
    const bool is_list = seen.target == "/api/v1/cells?limit=1000";
    if (seen.method == "POST") {
      const std::string customer = body_of(seen).find("customer_id")->as_string();
      if (customer == "A") return json_reply(409, R"({"error":"no","code":"x"})");
      return json_reply(200, R"({"cell_id":"b","agent_digest":"0123456789abcdef"})");
    }
    if (is_list) {
      return json_reply(200, R"({"cells":[{"cell_id":"a","customer_id":"A"},
        {"cell_id":"b","customer_id":"B","agent_digest":"ff"}]})");
    }
    if (seen.target.ends_with("/a")) {
      return json_reply(200, R"({"cell_id":"a","customer_id":"A"})");
    }
    return json_reply(200, R"({"cell_id":"b","customer_id":"B","agent_digest":"ff"})");
  });
}

}  // namespace

TEST_CASE("init makes a folder with an agent, and writes over nothing") {
  const testing::TempDir dir;
  const std::string folder = dir.file("new/agent");
  const Result made = call("http://127.0.0.1:1", {"init", folder});
  CHECK(made.exit_code == 0);
  CHECK(made.out == "made " + folder + "/agent.js; next: cellar dev " + folder + "\n");
  CHECK(content_at(folder + "/agent.js").find("module.exports") != std::string::npos);
  CHECK(json::parse(content_at(folder + "/package.json")).find("main")->as_string() == "agent.js");
  const Result again = call("http://127.0.0.1:1", {"init", folder});
  CHECK(again.exit_code == 1);
  CHECK(again.err.find("agent.js is there: nothing was written") != std::string::npos);
}

TEST_CASE("deploy gives an agent to the cells that are named, or to all that have one") {
  const testing::TempDir dir;
  sys::replace_file(dir.file("agent.py"), "pass");
  FakeDaemon daemon = two_cells();
  const Result all = call(daemon.url(), {"deploy", dir.file("."), "--all"});
  CHECK(all.exit_code == 0);
  CHECK(all.out == "b\t0123456789ab\tnew\n");
  const json::Value body = body_of(daemon.seen().back());
  CHECK(body ==
        json::object({{"customer_id", "B"}, {"agent", "pass"}, {"agent_language", "python"}}));

  const Result both = call(daemon.url(), {"-o", "json", "deploy", dir.file("agent.py"), "a", "b"});
  CHECK(both.exit_code == 1);  // and "b" got it all the same
  CHECK(both.err == "cellar: a: no\n");
  CHECK(both.out ==
        R"({"cells":[{"cell_id":"b","agent_digest":"0123456789abcdef","changed":true}]})"
        "\n");
}

TEST_CASE("an agent is named by its folder wherever one is given") {
  const testing::TempDir dir;
  sys::replace_file(dir.file("agent.mjs"), "x");
  FakeDaemon daemon([](const Seen& seen) {
    return json_reply(200, seen.target.ends_with("/replay") ? R"({"ok":true,"matched":1})"
                                                            : R"({"cell_id":"a"})");
  });
  CHECK(call(daemon.url(), {"create", "A", "--agent", dir.file(".")}).exit_code == 0);
  CHECK(call(daemon.url(), {"runs", "replay", "a", "r", "--against", dir.file(".")}).exit_code ==
        0);
  for (const Seen& seen : daemon.seen()) {
    CHECK(body_of(seen).find("agent")->as_string() == "x");
  }
  CHECK(daemon.seen().size() == 2);
}

TEST_CASE("deploy says what is missing") {
  const testing::TempDir dir;
  FakeDaemon daemon = two_cells();
  const auto refusal = [&](const std::vector<std::string>& words) {
    const Result result = call(daemon.url(), words);
    CHECK(result.exit_code != 0);
    return result.err;
  };
  const std::string here = dir.file(".");
  CHECK(refusal({"deploy", here, "a"}).find("no agent.js and no agent.py") != std::string::npos);
  sys::replace_file(dir.file("agent.py"), "pass");
  sys::replace_file(dir.file("agent.js"), "");
  CHECK(refusal({"deploy", here, "a"}).find("two agents") != std::string::npos);
  CHECK(refusal({"deploy", here}).find("--all") != std::string::npos);
  CHECK(refusal({"deploy", here, "a", "--all"}).find("--all") != std::string::npos);
  CHECK(daemon.seen().empty());
}

}  // namespace cellar::cli
