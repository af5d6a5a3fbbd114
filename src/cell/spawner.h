#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "base/error.h"
#include "cell/message_channel.h"
#include "sandbox/cgroup.h"
#include "sandbox/spawn_protocol.h"
#include "sys/process.h"

namespace cellar::cell {

// The daemon's side of cellar-spawn: starts it, asks it. Loop thread only.
class Spawner {
 public:
  struct Options {
    std::string libexec;  // folder of cellar-spawn and cell-init
    std::string state_dir;
    std::string daemon_group;
    sandbox::CgroupHost cgroup_host;
    unsigned prepared_cells = 0;  // how many are made ahead
    sandbox::Rights rights = sandbox::Rights::root;
    // How long a new domain of a cell waits for what the last ones had mounted.
    std::chrono::milliseconds mounts_limit{30'000};
  };
  // The program alone, which ends once nobody has its socket: messages of spawn_protocol.h go over
  // it. The names of all slots that it makes begin with `run`. Blocking for a moment. Throws Error.
  struct Program {
    pid_t pid;
    sys::Fd socket;
  };
  static Program start(const Options& options, const std::string& run);

  // Starts the program. Blocking for a moment. Throws Error.
  Spawner(const asio::any_io_executor& executor, const Options& options);
  // Lets the spawner end and waits for it; domains live on.
  ~Spawner();
  // Waits for what is being asked, and ends a probe; nothing may be asked afterwards.
  asio::awaitable<void> close();
  // Whether the program has ended by itself: nothing can be asked any more.
  bool is_lost() { return channel_.has_hung_up(); }
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // Makes a native domain whose cell-init listens at `socket_path`. `slot` is that of the cell's
  // other domain, empty where it has none. Waits until all is gone that earlier domains of the
  // cell had mounted; others are served meanwhile. Throws Error, naming the step that failed;
  // nothing is left of a new slot then.
  struct Domain {
    std::uint32_t pid = 0;  // of its cell-init, as the host sees it
    std::string slot;
    sys::Fd connection;  // the first to its cell-init
  };
  asio::awaitable<Domain> make_domain(sandbox::DomainSpec spec, std::string socket_path,
                                      std::string slot);

  // Makes a warm domain, whose cell-init that is, the one of a cell that `spec` says. Throws Error;
  // it is of no use then.
  asio::awaitable<void> personalize(sandbox::DomainSpec spec, sys::ProcessId init);

  // Native domains that were made in the folder `made_in` are those of the cell in `cell_dir` from
  // now on, which is that folder by now, and have this host name. Throws Error where one has ended.
  asio::awaitable<void> adopt(std::string made_in, std::string cell_dir, std::string host_name);

  // Like make_domain() in gVisor, but it only begins: a domain takes most of a second, so some are
  // made at a time, and others than these do not wait.
  class GvisorLaunch {
   public:
    const std::string& slot() const noexcept { return slot_; }
    // Waits until the domain is made, and returns the host's pid of its sandbox. Once. Throws
    // Error; whoever began it ends what is left in the domain's group then.
    asio::awaitable<std::uint32_t> finish();

   private:
    friend class Spawner;
    GvisorLaunch(async::Serial::Turn turn, std::string slot, sys::Fd report, std::string folder)
        : turn_(std::move(turn)),
          slot_(std::move(slot)),
          report_(std::move(report)),
          folder_(std::move(folder)) {}
    async::Serial::Turn turn_;
    std::string slot_;
    sys::Fd report_;
    std::string folder_;  // runsc's
  };
  asio::awaitable<GvisorLaunch> launch_in_gvisor(sandbox::DomainSpec spec, std::string socket_path,
                                                 std::string slot);

  // How the names of all slots begin that this spawner makes.
  const std::string& run() const noexcept { return run_; }

  // Runs a program of ours in gVisor until that has worked once: first on the platform systrap,
  // then on ptrace. Throws Error `unavailable`, reason `runtime_unavailable`, saying why this
  // machine cannot run cells in gVisor.
  asio::awaitable<void> require_gvisor();

  struct Listeners {
    std::vector<sys::Fd> sockets;  // in the order of the ports
    sys::Fd catch_all;             // see sys::catch_all(); none where this machine refuses it
  };
  // Sockets on these ports of every address in the namespace.
  asio::awaitable<Listeners> listen_in(sys::Fd network_namespace,
                                       std::vector<sandbox::ListenIn::Port> ports);

  // A socket that belongs to the namespace.
  asio::awaitable<sys::Fd> socket_in(sys::Fd network_namespace, sandbox::SocketIn::Kind kind);

 private:
  // Who waits for an answer.
  struct Asked {
    explicit Asked(const asio::any_io_executor& executor) : is_over(executor) {}
    async::Event is_over;
    std::optional<sys::Message> answer;  // none where there will be none
  };
  asio::awaitable<sys::Message> ask(sandbox::SpawnRequest request, std::vector<int> fds);
  // Throws Error where the answer is not Personal.
  asio::awaitable<void> ask_for_personal(sandbox::SpawnRequest request);
  asio::awaitable<sys::Message> ask_in_turn(sandbox::SpawnRequest request,
                                            std::vector<sys::Fd> held);
  asio::awaitable<void> read_answers();

  asio::awaitable<void> await_gone(sys::Fd process, std::chrono::steady_clock::time_point give_up);
  void say_why_not_all(const std::string& why);
  asio::awaitable<void> probe_gvisor();
  asio::awaitable<std::optional<Error>> try_gvisor(std::string platform);

  Options options_;
  std::string run_;
  pid_t pid_ = 0;
  std::string gvisor_platform_;  // that has worked once; empty: none yet
  bool said_why_not_all_ = false;
  MessageChannel channel_;
  std::uint32_t last_number_ = 0;
  std::map<std::uint32_t, Asked*> asked_;  // by the number of the request; whose coroutine has it
  bool is_reading_ = false;
  async::Serial asks_;
  async::Serial probe_turns_;
  async::Serial launches_;
  async::TaskGroup tasks_;
  async::TaskGroup probes_;
};

}  // namespace cellar::cell
