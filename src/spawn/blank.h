#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox/spawn_protocol.h"
#include "sys/fd.h"
#include "sys/namespace.h"

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
  // Begins to make a domain of it, which has this user namespace. Throws Error.
  void assign(const sandbox::DomainSpec& spec, const sandbox::Image& image, int user_namespace);
  // What is left of a blank that has become a domain.
  struct Domain {
    pid_t pid;
    sys::Fd process;                  // becomes readable when its cell-init has ended
    std::vector<sys::Fd> namespaces;  // those that take the kernel long to remove
  };
  // Waits until it is one, whose control socket is `listener`. Throws Error, with what failed in
  // it.
  Domain become_domain(int listener);

 private:
  void await_done();

  sys::Forked init_;
  sys::Fd socket_;
  std::vector<sys::Fd> namespaces_;
  bool ready_ = false;
};

}  // namespace cellar::spawn
