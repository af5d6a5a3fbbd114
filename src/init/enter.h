#pragma once

#include "init/spawn.h"
#include "sys/fd.h"

namespace cellar::init {

// The commands' filter, as a file of struct sock_filter, one by one. Throws Error.
CommandFilter read_filter(sys::Fd file);

// What cell-init has once it is in.
struct Entered {
  sys::Fd listener;    // the domain's control socket; in gVisor its rendezvous (sys/seqpacket.h)
  sys::Fd connection;  // the first one to it; none in gVisor
  CommandFilter filter;
};

// The last steps into the sandbox. Joins the user namespace, becomes its root, keeps only the
// capabilities that commands may have, can gain no more, and is restricted by Landlock with all
// that it will start. Throws Error; the caller must exit then.
void enter_domain(sys::Fd user_namespace);

}  // namespace cellar::init
