// cellard: the daemon. It serves the API, keeps the cells' journals, and lets cellar-spawn make
// what it runs in.

#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <memory>

#include "async/pool.h"
#include "base/error.h"
#include "cell/capacity.h"
#include "cell/census.h"
#include "cell/process_walk.h"
#include "cell/slots.h"
#include "cell/spawner.h"
#include "cell/warm_agents.h"
#include "daemon/agent_host.h"
#include "daemon/config.h"
#include "daemon/serve.h"
#include "daemon/startup.h"
#include "llm/models.h"
#include "net/resolver.h"
#include "net/tls_client.h"
#include "sandbox/groups.h"

namespace cellar::daemon {
namespace {

// So many cells may hold up what they have of them before others notice.
constexpr unsigned kPipeThreads = 32;

cell::Capacity::Options capacity_of(const Config& config) {
  return {.state_dir = config.state,
          .memory_reserve = config.memory_reserve_bytes,
          .disk_reserve = config.disk_reserve_bytes};
}

void run(const Config& config, std::vector<std::string> arguments) {
  check(config);
  const doctor::User user = enter(config);
  const cell::Isolation isolation = require_level(config, user);
  const bool is_root = isolation.rights == sandbox::Rights::root;
  prepare_process();
  const auto lock = take_state(config.state, user);
  const cell::Sealer sealer = read_sealer(config);
  async::Pool pool(config.pool_threads);
  async::Pool pipes(kPipeThreads);
  asio::io_context loop(1);
  async::Serial paging(loop.get_executor());
  cell::ProcessWalk processes(loop.get_executor(), pool);
  asio::signal_set signals(loop, SIGTERM, SIGINT);
  asio::signal_set hangups(loop, SIGHUP);
  net::HostResolver resolver(loop.get_executor());
  net::TlsClient tls(config.egress_ca);
  llm::Models models(loop.get_executor(), pool, resolver, tls, read_llm_settings(config));
  net::Policy forwards = net::Policy::parse({.allow = config.forward_to});
  const std::string daemon_group = cell::daemon_group_of(config.state);
  const auto cgroup_host = is_root ? sandbox::read_cgroup_host() : user.cgroups;
  auto spawner = std::make_unique<cell::Spawner>(
      loop.get_executor(), cell::Spawner::Options{.libexec = config.libexec,
                                                  .state_dir = config.state,
                                                  .daemon_group = daemon_group,
                                                  .cgroup_host = cgroup_host,
                                                  .prepared_cells = config.prepared_cells,
                                                  .rights = isolation.rights});
  cell::Capacity capacity(capacity_of(config));
  const std::string agent_host_dir = install_agent_host(config.state);
  cell::WarmAgents warm_agents(loop.get_executor(), pool, pipes, *spawner, capacity,
                               {.count = is_root ? config.warm_agents : 0,
                                .state_dir = config.state,
                                .daemon_group = daemon_group,
                                .cgroup_host = cgroup_host,
                                .images = image::Store(config.state),
                                .agent_host_dir = agent_host_dir});
  cell::Measures measures;
  const cell::Machine machine{
      .executor = loop.get_executor(),
      .pool = pool,
      .journal_writers = std::make_shared<async::Pool>(config.pool_threads),
      .pipes = pipes,
      .paging = paging,
      .processes = processes,
      .spawner = *spawner,
      .warm_agents = warm_agents,
      .cgroup_host = cgroup_host,
      .daemon_group = daemon_group,
      .images = image::Store(config.state),
      .capacity = capacity,
      .measures = measures,
      .resolver = resolver,
      .tls = tls,
      .models = models,
      .forwards = forwards,
      .runtime_floor = config.runtime_floor,
      .disk_enforcer = is_root ? sys::try_disk_limit(config.state) : sys::DiskEnforcer::counted,
      .isolation = isolation,
      .fresh_cells = is_root ? config.prepared_cells : 0,
      .agent_host_dir = agent_host_dir,
      .name_server = config.name_server};
  Reloading reloading{std::move(arguments), hangups, forwards};
  std::exception_ptr failure;
  asio::co_spawn(loop, serve(config, machine, sealer, signals, std::move(reloading)),
                 [&failure](const std::exception_ptr& error) { failure = error; });
  loop.run();
  spawner.reset();  // With what it had prepared.
  sandbox::remove_daemon_group(machine.cgroup_host, machine.daemon_group);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace
}  // namespace cellar::daemon

int main(int argc, char** argv) {
  using namespace cellar;
  ::signal(SIGPIPE, SIG_IGN);
  try {
    const daemon::CommandLine line = daemon::read_command_line(argc, argv);
    if (line.exit_code >= 0) return line.exit_code;
    daemon::set_log(line.config);
    daemon::run(line.config, std::vector<std::string>(argv, argv + argc));
  } catch (const Error& error) {
    std::fprintf(stderr, "cellard: %s\n", error.what());
    if (!error.remediation().empty()) std::fprintf(stderr, "  %s\n", error.remediation().c_str());
    return 1;
  }
}
