#pragma once

#include <sys/types.h>

#include <string>

#include "sandbox/spawn_protocol.h"
#include "sys/fd.h"

namespace cellar::spawn {

// What every cell-init is given.
struct Programs {
  sys::Fd init;    // cell-init, sealed in memory
  sys::Fd filter;  // the commands' BPF program, sealed in memory
};

// A cell-init alone in new namespaces, that waits to be told whose domain it becomes. It ends where
// this object does before that.
class Blank {
 public:
  // Starts one; it goes on by itself. Throws Error.
  Blank(const Programs& programs, const sandbox::DomainGroups& groups);
  Blank(Blank&&) = default;
  Blank& operator=(Blank&&) = default;

  // Readable when it has something to say.
  int socket() const noexcept { return socket_.get(); }
  // Takes note of what it has said; false where it failed or is gone. Does not wait.
  bool check();
  // Makes a domain of it, and gives its pid. `user_namespace` and `listener` are the domain's.
  // Throws Error, with what failed in it.
  pid_t assign(const sandbox::DomainSpec& spec, const sandbox::Image& image, int user_namespace,
               int listener);

 private:
  void await_done();

  pid_t pid_;
  sys::Fd socket_;
  bool ready_ = false;
};

}  // namespace cellar::spawn
