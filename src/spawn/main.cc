// cellar-spawn: makes the domains of cells for cellard, which starts it with a socket as descriptor
// 3 and talks to it as sandbox/spawn_protocol.h says. Ends when cellard does; the domains live on.

#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "sandbox/filter_program.h"
#include "spawn/image.h"
#include "spawn/server.h"
#include "sys/namespace.h"
#include "sys/process.h"
#include "sys/resource_limit.h"

namespace {

// What a command may ask for at most.
constexpr std::uint64_t kOpenFilesMax = 1 << 20;

}  // namespace

int main(int argc, char** argv) {
  using namespace cellar;
  if (argc != 3) {
    std::fprintf(stderr, "cellar-spawn: it is started by cellard\n");
    return 2;
  }
  const std::string state_dir = argv[1];
  const std::string init_program = argv[2];
  try {
    ::signal(SIGCHLD, SIG_IGN);  // Nobody waits for a domain's init.
    ::signal(SIGPIPE, SIG_IGN);
    // A terminal's or service manager's signals go to all; this program ends after cellard.
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGTERM, SIG_IGN);
    sys::raise_open_files(kOpenFilesMax);
    sys::enter_new_mount_namespace();
    spawn::Server::Programs programs{
        sys::sealed_copy(init_program),
        sys::sealed_bytes("filter", sandbox::compile_filter(sandbox::command_filter(),
                                                            sandbox::own_architecture()))};
    spawn::Images images(spawn::prepare_dev_image(state_dir));
    spawn::Server server(sys::Fd(3), std::move(images), std::move(programs));
    server.run();
  } catch (const Error& error) {
    std::fprintf(stderr, "cellar-spawn: %s\n", error.what());
    return 1;
  }
}
