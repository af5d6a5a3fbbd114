#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "init/spawn.h"
#include "sandbox/runtime.h"
#include "sys/fd.h"
#include "sys/seqpacket.h"

namespace cellar::init {

// PID 1 of a domain: starts what the daemon asks for, reaps whatever ends, reports.
// Single-threaded.
//
// One connection at a time: a new one replaces the old. What was started over a connection does not
// outlive it, unless something of it is kept (wire::SpawnRequest): when it is lost, every other
// process of the domain is killed.
class Server {
 public:
  using Runtime = sandbox::Runtime;
  // The daemon lets a cell have half as many that run.
  static constexpr std::size_t kKeptMax = 128;
  // `listener` is a listening seqpacket socket, `signals` a signalfd of SIGCHLD. In gVisor the
  // listener is a rendezvous (sys/seqpacket.h), and each program is contained (init/gvisor.h).
  Server(sys::Fd listener, sys::Fd signals, CommandFilter filter,
         Runtime runtime = Runtime::native);

  // Serves this connection as if it had just come at the listener.
  void take(sys::Fd connection);
  // Serves for ever.
  [[noreturn]] void run();
  // One turn: waits until something happens, and handles it. For tests.
  void run_once();

 private:
  void accept();
  void receive();
  void handle(const wire::InitRequest& request, std::vector<sys::Fd> fds);
  void start(const wire::SpawnRequest& request, std::vector<sys::Fd> fds);
  void signal(const wire::SignalRequest& request);
  void forget(const wire::ForgetRequest& request);
  void reap();
  void greet();
  void report(const wire::InitReport& report, std::span<const int> fds = {});
  void drop_connection();
  void kill_all_but_kept();

  sys::Fd listener_;
  sys::Fd signals_;
  CommandFilter filter_;
  sys::Fd connection_;
  Runtime runtime_;
  struct Leader {
    std::uint32_t id = 0;  // the daemon's
    sys::Fd status;        // of a contained program: tells how it ended
  };
  std::map<pid_t, Leader> leaders_;
  // What a next connection is told of.
  struct KeptProgram {
    pid_t pid = -1;
    std::string group;  // its cgroup v2 folder, as this namespace names it
    std::vector<sys::Fd> fds;
    std::optional<int> wait_status;  // once it has ended
  };
  std::map<std::uint32_t, KeptProgram> kept_;  // by the daemon's id
};

}  // namespace cellar::init
