// cellar-spawn: makes the domains of cells for cellard, which starts it with a socket as descriptor
// 3 and talks to it as sandbox/spawn_protocol.h says. Ends when cellard does; the domains live on.

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/fault.h"
#include "base/text.h"
#include "sandbox/delegated.h"
#include "sandbox/filter_program.h"
#include "sandbox/groups.h"
#include "spawn/image.h"
#include "spawn/server.h"
#include "sys/namespace.h"
#include "sys/process.h"
#include "sys/resource_limit.h"

namespace {

// What a command may ask for at most.
constexpr std::uint64_t kOpenFilesMax = 1 << 20;

cellar::sys::Fd sealed_filter(cellar::sandbox::Runtime runtime) {
  using namespace cellar::sandbox;
  return cellar::sys::sealed_bytes("filter",
                                   compile_filter(command_filter(runtime), own_architecture()));
}

// What cellard passes, in this order.
struct Arguments {
  std::string state_dir;
  std::string init_program;
  std::string daemon_group;
  std::string run;
  std::size_t ahead;
  cellar::sandbox::Rights rights;
  std::string cgroups;  // a user's part of cgroup v2; empty: none
};

cellar::sandbox::CgroupHost cgroup_host_of(const Arguments& arguments) {
  using namespace cellar::sandbox;
  if (arguments.rights == Rights::root) return read_cgroup_host();
  return arguments.cgroups.empty() ? CgroupHost() : find_delegated(arguments.cgroups);
}

void serve(const cellar::spawn::Programs& programs, const Arguments& arguments,
           const cellar::sandbox::CgroupHost& host) {
  using namespace cellar;
  spawn::Pool pool(programs, {.host = host,
                              .daemon_group = arguments.daemon_group,
                              .run = arguments.run,
                              .ready_max = arguments.ahead});
  spawn::Images images(spawn::prepare_dev_image(arguments.state_dir, arguments.rights));
  spawn::Gvisor gvisor(arguments.state_dir, arguments.init_program,
                       sealed_filter(sandbox::Runtime::gvisor));
  spawn::Server server(sys::Fd(3), std::move(images), pool, gvisor, arguments.ahead);
  server.run();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace cellar;
  const auto ahead = argc == 8 ? parse_int(argv[5]) : std::nullopt;
  if (!ahead || *ahead < 0) {
    std::fprintf(stderr, "cellar-spawn: it is started by cellard\n");
    return 2;
  }
  const bool is_root = std::string_view(argv[6]) == "root";
  const Arguments arguments{argv[1],
                            argv[2],
                            argv[3],
                            argv[4],
                            static_cast<std::size_t>(*ahead),
                            is_root ? sandbox::Rights::root : sandbox::Rights::user,
                            argv[7]};
  try {
    const char* plan = std::getenv("CELLAR_FAULTS");
    if (plan != nullptr) arm_faults(std::string(plan) + ".spawn");
    ::signal(SIGCHLD, SIG_IGN);  // Nobody waits for a domain's init.
    ::signal(SIGPIPE, SIG_IGN);
    // A terminal's or service manager's signals go to all; this program ends after cellard.
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGTERM, SIG_IGN);
    sys::raise_open_files(kOpenFilesMax);
    sys::enter_new_mount_namespace();
    // Without root there is no way back from a cell's network to the machine's.
    if (!is_root) sys::enter_new_network_namespace();
    const spawn::Programs programs{sys::sealed_copy(arguments.init_program),
                                   sealed_filter(sandbox::Runtime::native)};
    const sandbox::CgroupHost host = cgroup_host_of(arguments);
    serve(programs, arguments, host);
    sandbox::remove_daemon_group(host, arguments.daemon_group);
  } catch (const Error& error) {
    std::fprintf(stderr, "cellar-spawn: %s\n", error.what());
    return 1;
  }
}
