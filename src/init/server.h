#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>

#include "init/spawn.h"
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
  // `listener` is a listening seqpacket socket, `signals` a signalfd of SIGCHLD.
  Server(sys::Fd listener, sys::Fd signals, CommandFilter filter);

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

  sys::Fd listener_;
  sys::Fd signals_;
  CommandFilter filter_;
  sys::Fd connection_;
  std::map<pid_t, std::uint32_t> leaders_;  // pid → the daemon's id
};

}  // namespace cellar::init
