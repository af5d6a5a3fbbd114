#include "cell/network.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

NetworkSpec network_of(const char* text) { return read_network(json::parse(text)); }

}  // namespace

TEST_CASE("what a cell used of the network is there again, and a damaged note begins anew") {
  testing::TempDir dir;
  const std::string file = dir.file("network.json");
  Network first("c", file);
  first.load();
  first.save();
  CHECK_FALSE(sys::exists(file));  // Nothing was used.
  first.meter().usage() = {.bytes_up = 1, .bytes_down = 2, .connections = 3, .refusals = 4};
  first.save();
  Network second("c", file);
  second.load();
  CHECK(second.meter().usage().bytes_up == 1);
  CHECK(second.meter().usage().bytes_down == 2);
  CHECK(second.meter().usage().connections == 3);
  CHECK(second.meter().usage().refusals == 4);
  for (const char* damaged : {"", "{", "[]", "{}", R"({"version":1,"bytes_up":-1})"}) {
    CAPTURE(damaged);
    sys::replace_file(file, damaged);
    Network third("c", file);
    third.load();
    CHECK(third.meter().usage().bytes_up == 0);
  }
  Network nowhere("c", dir.file("none/network.json"));
  nowhere.meter().usage().bytes_up = 1;
  nowhere.save();
}

TEST_CASE("uses that end soon after one another are noted once") {
  testing::TempDir dir;
  Network network("c", dir.file("network.json"));
  network.meter().usage().bytes_up = 1;
  network.note_use();
  const auto noted = sys::read_file(dir.file("network.json"));
  CHECK(noted.has_value());
  network.meter().usage().bytes_up = 2;
  network.note_use();
  CHECK(sys::read_file(dir.file("network.json")) == noted);
  network.save();
  CHECK(sys::read_file(dir.file("network.json")) != noted);
}

TEST_CASE("the last hundred refusals are kept") {
  testing::TempDir dir;
  Network network("c", dir.file("network.json"));
  for (int i = 0; i < 101; ++i) network.tell("shell", {"n" + std::to_string(i), 443});
  CHECK(network.refusals().size() == Network::kRefusalsMax);
  CHECK(network.refusals().front().what.target == "n1");
  CHECK(network.refusals().back().what.target == "n100");
}

TEST_CASE("a policy is a word or an object, and comes back as it was written") {
  CHECK(network_of("\"deny-all\"") == NetworkSpec());
  CHECK(network_of("\"allow-all\"").policy.allow == std::vector<std::string>{"*"});
  const NetworkSpec network = network_of(
      R"({"allow":["a.test"],"deny":["10.0.0.0/8"],"presets":["npm"],"agent":"allow-all",
          "shell":{"presets":["pypi"]},"limits":{"connections":3,"bytes_per_s":1024,"bytes":0}})");
  CHECK(read_network(to_json(network)) == network);
  CHECK(network.of(sandbox::DomainKind::agent).allow == std::vector<std::string>{"*"});
  CHECK(network.of(sandbox::DomainKind::shell).presets == std::vector<std::string>{"pypi"});
  CHECK(network.limits.bytes == 0U);
  const NetworkSpec ruled = network_of(
      R"({"shell":{"rules":[{"host":"a.test","match":{"method":"GET","path":"/v1/*"},
          "headers":{"A":"b"},"forward":"https://b.test:8443/x"},
          {"host":"*.b.test","respond":{"status":403,"headers":{"C":"d"},"body":"no"}}]}})");
  CHECK(ruled.shell->rules.size() == 2);
  CHECK(read_network(to_json(ruled)) == ruled);
  CHECK(has_rules(ruled));
  CHECK_FALSE(has_rules(network));
  CHECK(network_of(R"({"deny":["a.test"]})").of(sandbox::DomainKind::shell).deny.size() == 1);
}

TEST_CASE("a policy that cannot be meant, or not be enforced, is refused by name") {
  for (const auto& [text, word] : std::vector<std::pair<const char*, const char*>>{
           {"7", "network"},
           {"null", "network"},
           {"\"allow\"", "network"},
           {R"({"agent":"all"})", "agent"},
           {R"({"agent":7})", "agent"},
           {R"({"shell":{"limits":{}}})", "limits"},
           {R"({"shell":{"agent":{}}})", "agent"},
           {R"({"shell":{"allow":["a b"]}})", "a b"},
           {R"({"rules":{}})", "rules"},
           {R"({"rules":[{}]})", "host"},
           {R"({"rules":[{"host":"a.test","match":{"query":"x"}}]})", "match.query"},
           {R"({"rules":[{"host":"a.test","respond":{"status":99}}]})", "respond.status"},
           {R"({"rules":[{"host":"a.test","block":true}]})", "block"},
           {R"({"shell":{"rules":[{"host":"a.test"},{"host":"1.2.3.4"}]}})", "rule 2"},
           {R"({"allow":"a.test"})", "allow"},
           {R"({"limits":{"connections":0}})", "limits.connections"},
           {R"({"limits":{"bytes_per_s":1023}})", "limits.bytes_per_s"},
           {R"({"limits":{"bytes":-1}})", "limits.bytes"},
           {R"({"limits":{"packets":1}})", "limits.packets"}}) {
    CAPTURE(text);
    try {
      network_of(text);
      FAIL("was accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
      CHECK(std::string(error.what()).find(word) != std::string::npos);
    }
  }
}

TEST_CASE("rules send requests only where the operator lets them") {
  const NetworkSpec ruled =
      network_of(R"({"agent":{"rules":[{"host":"a.test","forward":"https://b.test:8443"}]}})");
  check_forwards(ruled, net::Policy::parse({.allow = {"b.test:8443"}}));
  CHECK_THROWS_AS(check_forwards(ruled, net::Policy::parse({.allow = {"b.test"}})), Error);
  CHECK_THROWS_AS(check_forwards(ruled, net::Policy()), Error);
}

}  // namespace cellar::cell
