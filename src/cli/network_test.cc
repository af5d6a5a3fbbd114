#include <doctest/doctest.h>

#include "cli/commands.h"
#include "cli/fake_daemon.h"
#include "cli/test_call.h"
#include "json/json.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cli {
namespace {

constexpr const char* kNetwork =
    R"({"policy":{"allow":["a.test"],"deny":[],"presets":["npm"],"limits":{"connections":7}}})";

}  // namespace

TEST_CASE("network allow and deny add to what is there, once, and keep the rest") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, kNetwork); });
  CHECK(call(daemon.url(), {"network", "a/b", "allow", "a.test", "*.b.test:22"}).exit_code == 0);
  const Seen changed = daemon.seen().at(1);
  CHECK(changed.method == "PUT");
  CHECK(changed.target == "/api/v1/cells/a%2Fb/network");
  CHECK(body_of(changed) == json::parse(R"({"allow":["a.test","*.b.test:22"],"deny":[],
                                            "presets":["npm"],"limits":{"connections":7}})"));
  CHECK(call(daemon.url(), {"network", "c", "deny", "10.0.0.0/8", "--domain", "shell"}).exit_code ==
        0);
  CHECK(body_of(daemon.seen().at(3)) ==
        json::parse(R"({"allow":["a.test"],"deny":[],"presets":["npm"],"limits":{"connections":7},
                        "shell":{"allow":["a.test"],"deny":["10.0.0.0/8"],"presets":["npm"]}})"));
}

TEST_CASE("network shows, and sets a file or a word as the whole policy") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, kNetwork); });
  CHECK(call(daemon.url(), {"network", "c"}).out ==
        "policy.allow\t[\"a.test\"]\npolicy.deny\t[]\npolicy.presets\t[\"npm\"]\n"
        "policy.limits.connections\t7\n");
  CHECK(call(daemon.url(), {"network", "c", "show"}).exit_code == 0);
  CHECK(daemon.seen().at(1).method == "GET");
  CHECK(call(daemon.url(), {"network", "c", "set", "deny-all"}).exit_code == 0);
  CHECK(daemon.seen().at(2).body == "\"deny-all\"");
  testing::TempDir dir;
  sys::replace_file(dir.file("policy"), R"({"presets":["pypi"]})");
  CHECK(call(daemon.url(), {"network", "c", "set", dir.file("policy")}).exit_code == 0);
  CHECK(daemon.seen().at(3).body == R"({"presets":["pypi"]})");
  CHECK(call(daemon.url(), {"network", "c", "set", dir.file("none")}).exit_code == 3);
  sys::replace_file(dir.file("policy"), "allow");
  CHECK(call(daemon.url(), {"network", "c", "set", dir.file("policy")}).exit_code == 2);
}

TEST_CASE("network shows what was refused, each with what allows it") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200, R"({"policy":{"allow":[]},"refusals":[{"domain":"shell","host":"b.test",
        "port":53,"reason":"not_listed","remediation":"add it","at":"T"}]})");
  });
  CHECK(call(daemon.url(), {"network", "c"}).out ==
        "policy.allow\t[]\n\nT\tshell\tb.test:53\tnot_listed\tadd it\n");
}

TEST_CASE("network refuses words that do not belong together") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, kNetwork); });
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"network"},
           {"network", "c", "forbid", "a.test"},
           {"network", "c", "allow"},
           {"network", "c", "show", "a.test"},
           {"network", "c", "set"},
           {"network", "c", "set", "a", "b"},
           {"network", "c", "set", "deny-all", "--domain", "agent"},
           {"network", "c", "allow", "a.test", "--domain", "moon"}}) {
    CAPTURE(words.back());
    CHECK(call(daemon.url(), words).exit_code == 2);
  }
  CHECK(daemon.seen().empty());
}

}  // namespace cellar::cli
