#pragma once

#include <sys/types.h>

#include <optional>
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

// A cell-init alone in new namespaces, that waits to be told whose domain it becomes. It is killed
// where this object ends before that: it may stand still, or not be in all its groups yet.
class Blank {
 public:
  // Starts one; it goes on by itself. Throws Error.
  Blank(const Programs& programs, const sandbox::DomainGroups& groups);
  // One that was started elsewhere, with our end of its socket. For tests.
  Blank(sys::Forked init, sys::Fd socket) : init_(std::move(init)), socket_(std::move(socket)) {}
  ~Blank();
  Blank(Blank&&) = default;
  Blank& operator=(Blank&& other) noexcept;

  // Readable when it has something to say.
  int socket() const noexcept { return socket_.get(); }
  // Takes note of what it has said; false where it failed or is gone. Does not wait.
  bool check();
  // Lays out the domain that is to be made of it, which has this user namespace, and whose
  // cell-init listens at `socket_path`. advance() begins. Throws Error.
  void assign(const sandbox::DomainSpec& spec, const sandbox::Image& image, int user_namespace,
              const std::string& socket_path);
  // Tells it what it becomes once it is ready, and takes note of what it has said; true where it
  // has become the domain. Does not wait. Throws Error, with what failed in it.
  bool advance();
  // What is left of a blank that has become a domain, or was to become one.
  struct Domain {
    pid_t pid;
    sys::Fd process;                  // becomes readable when its cell-init has ended
    std::vector<sys::Fd> namespaces;  // those that take the kernel long to remove
    sys::Fd connection;               // the first to its cell-init
  };
  Domain leave();

 private:
  // What it is told once it is ready.
  struct Task {
    sandbox::Assign what;
    std::vector<sys::Fd> fds;
  };
  void send_task();

  sys::Forked init_;
  sys::Fd socket_;
  std::vector<sys::Fd> namespaces_;
  std::optional<Task> task_;
  sys::Fd connection_;
  bool ready_ = false;
};

}  // namespace cellar::spawn
