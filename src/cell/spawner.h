#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "async/serial.h"
#include "async/task_group.h"
#include "cell/message_channel.h"
#include "sandbox/spawn_protocol.h"

namespace cellar::cell {

// The daemon's side of cellar-spawn: starts it, asks it one thing at a time. Loop thread only.
class Spawner {
 public:
  struct Options {
    std::string libexec;  // folder of cellar-spawn and cell-init
    std::string state_dir;
    std::string daemon_group;
    unsigned prepared_cells = 0;  // how many are made ahead
  };
  // Starts the program. Blocking for a moment. Throws Error.
  Spawner(const asio::any_io_executor& executor, const Options& options);
  // Lets the spawner end and waits for it; domains live on.
  ~Spawner();
  // Waits for what is being asked; nothing may be asked afterwards.
  asio::awaitable<void> close();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // Makes a domain whose cell-init listens at `socket_path`. `slot` is that of the cell's other
  // domain, empty where it has none. Throws Error, naming the step that failed; nothing is left of
  // a new slot then.
  asio::awaitable<sandbox::DomainMade> make_domain(sandbox::DomainSpec spec,
                                                   std::string socket_path, std::string slot);

  // How the names of all slots begin that this spawner makes.
  const std::string& run() const noexcept { return run_; }

  // Throws Error `unavailable`, reason `runtime_unavailable`, saying why this machine cannot run
  // cells in gVisor.
  asio::awaitable<void> require_gvisor();

  // Sockets on these ports of every address in the namespace, in the order of `ports`.
  asio::awaitable<std::vector<sys::Fd>> listen_in(sys::Fd network_namespace,
                                                  std::vector<sandbox::ListenIn::Port> ports);

 private:
  asio::awaitable<sys::Message> ask(std::string request, std::vector<int> fds);
  asio::awaitable<sys::Message> ask_in_turn(std::string request, std::vector<sys::Fd> held);

  std::string run_;
  pid_t pid_ = 0;
  bool gvisor_works_ = false;  // it did once
  MessageChannel channel_;
  async::Serial serial_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
