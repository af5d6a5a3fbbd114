#include "daemon/reloader.h"

#include <optional>

#include "base/error.h"

namespace cellar::daemon {

Reloader::Reloader(const asio::any_io_executor& executor, async::Pool& pool,
                   std::vector<std::string> arguments, Config running, Apply apply)
    : pool_(pool),
      arguments_(std::move(arguments)),
      running_(std::move(running)),
      apply_(std::move(apply)),
      turns_(executor) {}

asio::awaitable<SettingChanges> Reloader::reload() {
  const auto turn = co_await turns_.turn();
  if (running_.config_file.empty()) {
    throw Error(ErrorCode::conflict, "no_config_file", "cellard was started without --config",
                "start it with --config FILE; options and the environment change by a restart");
  }
  auto read = [arguments = arguments_] {
    Config wanted = read_settings(arguments);
    check(wanted);
    return wanted;
  };
  std::optional<Config> wanted;
  std::optional<Error> failure;
  try {
    wanted = co_await async::offload(pool_, std::move(read));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = error;
  }
  if (failure) {
    throw Error(ErrorCode::conflict, "invalid_config",
                running_.config_file + ": " + failure->what(),
                "nothing was changed: mend the file, then reload again");
  }
  const SettingChanges changes = take_settings(running_, *wanted);
  if (!changes.taken.empty()) apply_(running_);
  co_return changes;
}

}  // namespace cellar::daemon
