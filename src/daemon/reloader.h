#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "daemon/settings.h"

namespace cellar::daemon {

namespace asio = boost::asio;

// Reads the file of --config again while cellard runs. All of it is checked first: where anything
// is wrong, nothing changes. Loop thread only.
class Reloader {
 public:
  // Called with all settings that hold now. Must not throw.
  using Apply = std::function<void(const Config& config)>;

  // `arguments` are those of the command line, which win again; `running` what they and the file
  // said. `pool` must outlive it.
  Reloader(const asio::any_io_executor& executor, async::Pool& pool,
           std::vector<std::string> arguments, Config running, Apply apply);

  // What is not taken is told each time until the restart. Throws Error `conflict`, reason
  // `invalid_config`, and `no_config_file` where cellard was started without one.
  asio::awaitable<SettingChanges> reload();

 private:
  async::Pool& pool_;
  const std::vector<std::string> arguments_;
  Config running_;
  Apply apply_;
  async::Serial turns_;
};

}  // namespace cellar::daemon
