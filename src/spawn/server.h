#pragma once

#include <string>

#include "sandbox/spawn_protocol.h"
#include "spawn/images.h"
#include "sys/fd.h"
#include "sys/seqpacket.h"

namespace cellar::spawn {

// Answers the daemon's requests, one after the other. Single-threaded: it forks.
class Server {
 public:
  struct Programs {
    sys::Fd init;    // cell-init, sealed in memory
    sys::Fd filter;  // the commands' BPF program, sealed in memory
  };

  Server(sys::Fd socket, Images images, Programs programs)
      : socket_(std::move(socket)), images_(std::move(images)), programs_(std::move(programs)) {}

  // Until the daemon closes its end.
  void run();

 private:
  struct Answer {
    sandbox::SpawnAnswer message;
    std::vector<sys::Fd> fds;
  };
  Answer answer(const sys::Message& message);
  sandbox::DomainMade make(const sandbox::MakeDomain& request);
  [[noreturn]] void become_init(const sandbox::MakeDomain& request, const sandbox::Image& image,
                                int listener, int user, int report);

  sys::Fd socket_;
  Images images_;
  Programs programs_;
};

}  // namespace cellar::spawn
