#include "daemon/config.h"

#include <doctest/doctest.h>

#include <cstdlib>
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

TEST_CASE("an address without a port is refused by name") {
  CHECK_THROWS_WITH_AS(read({"--listen", "localhost"}),
                       "--listen: \"localhost\" is not HOST:PORT (port 0 takes a free one)", Error);
  CHECK(read({"--listen", "0.0.0.0:0"}).config.port == 0);
}

TEST_CASE("a seal key inside the state folder is refused") {
  Config config;
  config.state = "/srv/cellar";
  config.seal_key_file = "/srv/cellar/../cellar/seal.key";
  CHECK_THROWS_AS(check(config), Error);
}

TEST_CASE("a wrong option ends with exit code 2") { CHECK(read({"--nonsense"}).exit_code == 2); }

}  // namespace cellar::daemon
