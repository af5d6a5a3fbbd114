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
  // Starts the programs of `libexec`. Blocking for a moment. Throws Error.
  Spawner(const asio::any_io_executor& executor, const std::string& libexec,
          const std::string& state_dir);
  // Lets the spawner end and waits for it; domains live on.
  ~Spawner();
  // Waits for what is being asked; nothing may be asked afterwards.
  asio::awaitable<void> close();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // Makes a domain and returns the host's pid of its cell-init, which listens at `socket_path`.
  // Throws Error, naming the step that failed; nothing is left then.
  asio::awaitable<pid_t> make_domain(sandbox::DomainSpec spec, std::string socket_path);

  // Sockets on these ports of every address in the namespace, in the order of `ports`.
  asio::awaitable<std::vector<sys::Fd>> listen_in(sys::Fd network_namespace,
                                                  std::vector<sandbox::ListenIn::Port> ports);

 private:
  asio::awaitable<sys::Message> ask(std::string request, std::vector<int> fds);
  asio::awaitable<sys::Message> ask_in_turn(std::string request, std::vector<sys::Fd> held);

  pid_t pid_ = 0;
  MessageChannel channel_;
  async::Serial serial_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::cell
