#include "daemon/settings.h"

#include <doctest/doctest.h>

namespace cellar::daemon {

TEST_CASE("what can change at once is taken, and the rest is told each time") {
  Config running;
  Config wanted = running;
  CHECK(take_settings(running, wanted) == SettingChanges());
  wanted.log_level = "debug";
  wanted.cors_origins = {"https://a.example"};
  wanted.host = "0.0.0.0";
  wanted.port = 1;
  wanted.pool_threads = 9;
  const SettingChanges changes = take_settings(running, wanted);
  CHECK(changes.taken == std::vector<std::string>{"log-level", "cors-origin"});
  CHECK(changes.needs_restart == std::vector<std::string>{"listen", "pool-threads"});
  CHECK(running.log_level == "debug");
  CHECK(running.host == "127.0.0.1");
  const SettingChanges again = take_settings(running, wanted);
  CHECK(again.taken.empty());
  CHECK(again.needs_restart == changes.needs_restart);
}

}  // namespace cellar::daemon
