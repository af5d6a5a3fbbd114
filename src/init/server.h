#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>

#include "init/spawn.h"
#include "sandbox/runtime.h"
#include "sys/fd.h"
#include "sys/seqpacket.h"

namespace cellar::init {

// PID 1 of a domain: starts what the daemon asks for, reaps whatever ends, reports.
// Single-threaded.
//
// One connection at a time: a new one replaces the old. What was started over a connection does not
// outlive it: when it is lost, every other process of the domain is killed.
class Server {
 public:
  using Runtime = sandbox::Runtime;
  // `listener` is a listening seqpacket socket, `signals` a signalfd of SIGCHLD. In gVisor the
  // listener is a rendezvous (sys/seqpacket.h), and each program is contained (init/gvisor.h).
  Server(sys::Fd listener, sys::Fd signals, CommandFilter filter,
         Runtime runtime = Runtime::native);

  // Serves for ever.
  [[noreturn]] void run();
  // One turn: waits until something happens, and handles it. For tests.
  void run_once();

 private:
  void accept();
  void receive();
  void handle(const wire::InitRequest& request, const std::vector<sys::Fd>& fds);
  void reap();
  void report(const wire::InitReport& report);
  void drop_connection();
  static void kill_all();

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
};

}  // namespace cellar::init
