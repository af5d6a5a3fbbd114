#include "daemon/config.h"

#include <doctest/doctest.h>

#include <cctype>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::daemon {
namespace {

CommandLine read(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cellard");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return read_command_line(static_cast<int>(argv.size()), argv.data());
}

struct Case {
  std::string name;
  std::string file_value;  // as TOML writes it
  std::string value;
  std::function<std::string(const Config&)> get;
};

const std::vector<Case>& all_options() {
  static const std::vector<Case> cases = {
      {"state", "\"/s\"", "/s", [](const Config& c) { return c.state; }},
      {"listen", "\"h:7\"", "h:7",
       [](const Config& c) { return c.host + ":" + std::to_string(c.port); }},
      {"tls-listen", "\"0.0.0.0:443\"", "0.0.0.0:443",
       [](const Config& c) { return c.tls_host + ":" + std::to_string(c.tls_port); }},
      {"tls-cert", "\"/c\"", "/c", [](const Config& c) { return c.tls_cert; }},
      {"tls-key", "\"/k\"", "/k", [](const Config& c) { return c.tls_key; }},
      {"acme-command", "\"a {domain}\"", "a {domain}",
       [](const Config& c) { return c.acme_command; }},
      {"api-key", "\"abcdefgh\"", "abcdefgh", [](const Config& c) { return c.api_key; }},
      {"seal-key-file", "\"/k\"", "/k", [](const Config& c) { return c.seal_key_file; }},
      {"preview-domain", "\"d.org\"", "d.org", [](const Config& c) { return c.preview_domain; }},
      {"trusted-proxies", "[\"10.0.0.1\", \"10.0.0.2\"]", "10.0.0.1,10.0.0.2",
       [](const Config& c) {
         std::string all;
         for (const std::string& one : c.trusted_proxies) all += (all.empty() ? "" : ",") + one;
         return all;
       }},
      {"cors-origin", "\"https://a.org\"", "https://a.org",
       [](const Config& c) { return c.cors_origins.empty() ? "" : c.cors_origins.front(); }},
      {"name-server", "\"1.1.1.1:53\"", "1.1.1.1:53",
       [](const Config& c) { return c.name_server; }},
      {"idle-timeout-s", "3", "3",
       [](const Config& c) { return std::to_string(c.idle_timeout.count()); }},
      {"max-awake-s", "11", "11",
       [](const Config& c) { return std::to_string(c.max_awake.count()); }},
      {"busy-cpu-percent", "12", "12",
       [](const Config& c) { return std::to_string(c.busy_cpu_percent); }},
      {"page-out-after-s", "13", "13",
       [](const Config& c) { return std::to_string(c.page_out_after.count()); }},
      {"unload-after-s", "17", "17",
       [](const Config& c) { return std::to_string(c.unload_after.count()); }},
      {"memory-reserve-bytes", "14", "14",
       [](const Config& c) { return std::to_string(c.memory_reserve_bytes.value_or(0)); }},
      {"disk-reserve-bytes", "15", "15",
       [](const Config& c) { return std::to_string(c.disk_reserve_bytes.value_or(0)); }},
      {"hibernate-after-s", "4", "4",
       [](const Config& c) { return std::to_string(c.hibernate_after.count()); }},
      {"on-stop", "\"hibernate\"", "hibernate",
       [](const Config& c) { return c.on_stop == cell::OnStop::keep ? "keep" : "hibernate"; }},
      {"run-retention-s", "9", "9",
       [](const Config& c) { return std::to_string(c.run_retention.count()); }},
      {"audit-retention-s", "16", "16",
       [](const Config& c) { return std::to_string(c.audit_retention.count()); }},
      {"agent-stall-timeout-ms", "5", "5",
       [](const Config& c) { return std::to_string(c.agent_stall_timeout.count()); }},
      {"run-suspend-after-ms", "8", "8",
       [](const Config& c) { return std::to_string(c.run_suspend_after.count()); }},
      {"run-replay-bytes-max", "2048", "2048",
       [](const Config& c) { return std::to_string(c.run_replay_bytes_max); }},
      {"pool-threads", "6", "6", [](const Config& c) { return std::to_string(c.pool_threads); }},
      {"prepared-cells", "7", "7",
       [](const Config& c) { return std::to_string(c.prepared_cells); }},
      {"warm-agents", "3", "3", [](const Config& c) { return std::to_string(c.warm_agents); }},
      {"log-level", "\"error\"", "error", [](const Config& c) { return c.log_level; }},
      {"log-format", "\"json\"", "json", [](const Config& c) { return c.log_format; }},
      {"audit-bytes-max", "17", "17",
       [](const Config& c) { return std::to_string(c.audit_bytes_max); }},
      {"libexec", "\"/l\"", "/l", [](const Config& c) { return c.libexec; }}};
  return cases;
}

}  // namespace

TEST_CASE("an option wins over the environment, the environment over the file") {
  const testing::TempDir dir;
  sys::replace_file(dir.file("c.toml"),
                    "idle-timeout-s = 1\nhibernate-after-s = 1\nstate = \"/x\"\n");
  ::setenv("CELLAR_HIBERNATE_AFTER_S", "2", 1);
  ::setenv("CELLAR_STATE", "/y", 1);
  const Config config = read({"--config", dir.file("c.toml"), "--state", "/z"}).config;
  ::unsetenv("CELLAR_HIBERNATE_AFTER_S");
  ::unsetenv("CELLAR_STATE");
  CHECK(config.idle_timeout.count() == 1);
  CHECK(config.hibernate_after.count() == 2);
  CHECK(config.state == "/z");
}

TEST_CASE("the floor of the runtimes is set like all else, and only to one that there is") {
  const testing::TempDir dir;
  sys::replace_file(dir.file("c.toml"), "runtime_floor = \"gvisor\"\n");
  CHECK(read({}).config.runtime_floor == sandbox::Runtime::native);
  CHECK(read({"--config", dir.file("c.toml")}).config.runtime_floor == sandbox::Runtime::gvisor);
  ::setenv("CELLAR_RUNTIME_FLOOR", "gvisor", 1);
  CHECK(read({}).config.runtime_floor == sandbox::Runtime::gvisor);
  CHECK(read({"--runtime-floor", "native"}).config.runtime_floor == sandbox::Runtime::native);
  ::unsetenv("CELLAR_RUNTIME_FLOOR");
  CHECK(read({"--runtime-floor", "docker"}).exit_code == 2);
}

TEST_CASE("an address without a port is refused by name") {
  CHECK_THROWS_WITH_AS(read({"--listen", "localhost"}),
                       "--listen: \"localhost\" is not HOST:PORT (port 0 takes a free one)", Error);
  CHECK(read({"--listen", "0.0.0.0:0"}).config.port == 0);
}

TEST_CASE("a place without a name is refused") {
  Config config;
  config.state = "";
  CHECK_THROWS_WITH_AS(check(config), "--state: it must not be empty", Error);
  config.state = "/srv/cellar";
  config.seal_key_file = "";
  CHECK_THROWS_WITH_AS(check(config), "--seal-key-file: it must not be empty", Error);
}

TEST_CASE("a seal key inside the state folder is refused") {
  Config config;
  config.state = "/srv/cellar";
  config.seal_key_file = "/srv/cellar/../cellar/seal.key";
  CHECK_THROWS_AS(check(config), Error);
}

TEST_CASE("HTTPS needs its address and both of its files") {
  const auto why_not = [](const std::vector<std::string>& words) -> std::string {
    try {
      check(read(words).config);
    } catch (const Error& error) {
      return error.what();
    }
    return "good";
  };
  CHECK(why_not({"--tls-listen", "0.0.0.0:443", "--tls-cert", "/c"}) ==
        "--tls-listen: it needs --tls-cert and --tls-key, PEM files");
  CHECK(why_not({"--tls-cert", "/c"}) == "--tls-cert: it is for --tls-listen, which is not given");
  CHECK(why_not({"--tls-key", "/k"}) == "--tls-key: it is for --tls-listen, which is not given");
  CHECK(why_not({"--tls-listen", "443"}).starts_with("--tls-listen: \"443\" is not HOST:PORT"));
}

TEST_CASE("every option can be given in the file and in the environment") {
  const testing::TempDir dir;
  for (const Case& each : all_options()) {
    CAPTURE(each.name);
    REQUIRE(each.get(read({}).config) != each.value);
    sys::replace_file(dir.file("c.toml"), each.name + " = " + each.file_value + "\n");
    CHECK(each.get(read({"--config", dir.file("c.toml")}).config) == each.value);
    std::string variable = "CELLAR_" + each.name;
    for (char& c : variable) {
      c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    ::setenv(variable.c_str(), each.value.c_str(), 1);
    CHECK(each.get(read({}).config) == each.value);
    ::unsetenv(variable.c_str());
  }
}

TEST_CASE("a name in the file that is no option is refused") {
  const testing::TempDir dir;
  sys::replace_file(dir.file("c.toml"), "idle-timeout = 60\n");
  CHECK(read({"--config", dir.file("c.toml")}).exit_code == 2);
  CHECK(read({"--config", dir.file("none.toml")}).exit_code == 2);
  CHECK_THROWS_WITH_AS(
      read_settings({"cellard", "--config", dir.file("c.toml")}),
      "\"idle-timeout\" is no setting; \"idle-timeout-s\" is the nearest name (cellard --help "
      "lists all)",
      Error);
}

TEST_CASE("times have a limit, so that none overflows a clock") {
  CHECK(read({"--idle-timeout-s", "9223372036854775807"}).exit_code == 2);
  CHECK(read({"--hibernate-after-s", "31536001"}).exit_code == 2);
  CHECK(read({"--agent-stall-timeout-ms", "0"}).exit_code == 2);
  CHECK(read({"--idle-timeout-s", "31536000"}).config.idle_timeout.count() == 31'536'000);
}

TEST_CASE("a wrong value is refused by its option, with what is allowed and what was given") {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--cell-disk-bytes", "1G"},
       "cell-disk-bytes: must be a whole number from 0 on, not \"1G\""},
      {{"--cell-inodes=-1"}, "cell-inodes: must be a whole number from 0 on, not \"-1\""},
      {{"--disk-reserve-bytes", "99999999999999999999"},
       "disk-reserve-bytes: must be a whole number from 0 on, not \"99999999999999999999\""},
      {{"--warm-agents", "1.5"}, "warm-agents: must be a whole number from 0 to 16, not \"1.5\""},
      {{"--level", "most"}, "level: must be full or reduced, not \"most\""},
      {{"--trusted-proxies", "10.0.0.1,proxy"},
       "trusted-proxies: must be an IPv4 address, not \"proxy\""}};
  for (const auto& [words, text] : cases) {
    std::vector<std::string> all = words;
    all.insert(all.begin(), "cellard");
    CHECK_THROWS_WITH_AS(read_settings(all), ("--" + text).c_str(), Error);
  }
}

TEST_CASE("a wrong option ends with exit code 2, and the nearest one is named") {
  std::ostringstream told;
  std::streambuf* was = std::cerr.rdbuf(told.rdbuf());
  const int exit_code = read({"--idle-timeout", "3"}).exit_code;
  std::cerr.rdbuf(was);
  CHECK(exit_code == 2);
  CHECK(told.str().ends_with("--idle-timeout: did you mean --idle-timeout-s?\n"));
}

}  // namespace cellar::daemon
