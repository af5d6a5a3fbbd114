// cellard: the daemon. It serves the API, keeps the cells' journals, and lets cellar-spawn make
// what it runs in.

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "api/api.h"
#include "api/preview.h"
#include "api/proofs.h"
#include "async/pool.h"
#include "async/sleep.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "cell/domain_record.h"
#include "cell/slots.h"
#include "cell/supervisor.h"
#include "certificates/orders.h"
#include "daemon/agent_host.h"
#include "daemon/config.h"
#include "daemon/reloader.h"
#include "doctor/examine.h"
#include "doctor/judge.h"
#include "doctor/state_ids.h"
#include "http/server.h"
#include "llm/providers.h"
#include "net/resolver.h"
#include "net/tls_client.h"
#include "sandbox/delegated.h"
#include "sandbox/groups.h"
#include "sys/file.h"
#include "sys/lock_file.h"
#include "sys/probe.h"
#include "sys/resource_limit.h"
#include "sys/service_manager.h"

namespace cellar::daemon {
namespace {

namespace asio = boost::asio;

constexpr const char* kOwner = "dev";
constexpr std::chrono::milliseconds kDrainLimit{5000};
// So many cells may hold up what they have of them before others notice.
constexpr unsigned kPipeThreads = 32;
constexpr std::uint64_t kOpenFilesMax = 1 << 20;

log::Level level_of(const std::string& name) {
  if (name == "debug") return log::Level::debug;
  if (name == "warning") return log::Level::warning;
  if (name == "error") return log::Level::error;
  return log::Level::info;
}

// At its first start a daemon that was given no key makes one, and says it this once.
asio::awaitable<void> require_key(cell::Supervisor& supervisor, const Config& config) {
  std::string owner = kOwner;
  if (!config.api_key.empty()) {
    std::string key = config.api_key;
    co_await supervisor.add_configured_key(std::move(owner), std::move(key));
    co_return;
  }
  if (!supervisor.keys().empty()) co_return;
  std::string scopes(cell::kAllScopes);
  const auto created =
      co_await supervisor.create_key(std::move(owner), "first", std::move(scopes), std::nullopt);
  std::printf("cellard: API key (shown once): %s\n", created.secret.c_str());
}

// Until a signal comes, or cellar-spawn has ended.
asio::awaitable<void> wait_for(asio::signal_set& signals) {
  const auto [error, signal] = co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!error) log::info("signal {}: draining", signal);
}

// Without cellar-spawn no cell wakes up, and there is no other one to be had: this daemon does not
// fork. The next one finds the cells as they are.
asio::awaitable<void> end_without(cell::Spawner& spawner, asio::signal_set& signals) {
  constexpr std::chrono::seconds kLookPause{1};
  while (!spawner.is_lost()) co_await async::sleep_for(kLookPause);
  log::error("cellar-spawn has ended: so does cellard; cells go on, and the next one finds them");
  for (;;) {
    signals.cancel();
    co_await async::sleep_for(kLookPause);  // Maybe nobody has waited for them yet.
  }
}

// What TLS is served with, where it is.
struct Secure {
  std::unique_ptr<certificates::Certificates> certificates;
  std::unique_ptr<certificates::Orders> orders;  // where there is a program that gets some

  // Throws Error where the daemon's own certificate is not good.
  Secure(const Config& config, const asio::any_io_executor& executor,
         const cell::Supervisor& supervisor) {
    if (config.tls_host.empty()) return;
    const std::string dir = config.state + "/certificates";
    auto is_verified = [&supervisor](const std::string& name) {
      const cell::CustomDomain* domain = supervisor.find_domain(name);
      return domain != nullptr && domain->is_verified;
    };
    certificates = std::make_unique<certificates::Certificates>(
        executor, supervisor.pool(),
        certificates::Certificates::Options{.base = {config.tls_cert, config.tls_key}, .dir = dir},
        is_verified);
    if (config.acme_command.empty()) return;
    certificates::Orders::Options options{
        .command = certificates::AcmeCommand::parse(config.acme_command),
        .dir = dir,
        .work_dir = config.state + "/acme",
        .webroot = config.state + "/acme-webroot"};
    orders = std::make_unique<certificates::Orders>(executor, supervisor.pool(), std::move(options),
                                                    *certificates, is_verified);
  }

  void start() {
    if (certificates) certificates->start();
    if (orders) orders->start();
  }
  asio::awaitable<void> close() {
    if (orders) co_await orders->close();
    if (certificates) co_await certificates->close();
  }
};

// Says where, once both listen: what waits for the line finds all of it.
void say_where(const Config& config, const http::Server& plain, const http::Server* secure) {
  std::printf("cellard: listening on http://%s:%u\n", config.host.c_str(), plain.port());
  if (secure != nullptr) {
    std::printf("cellard: listening on https://%s:%u\n", config.tls_host.c_str(), secure->port());
  }
  std::fflush(stdout);
  sys::tell_service_manager("READY=1");
}

void set_log(const Config& config) {
  log::set_level(level_of(config.log_level));
  log::set_format(config.log_format == "json" ? log::Format::json : log::Format::text);
}

audit::Trail::Limits audit_limits_of(const Config& config) {
  return {.retention = config.audit_retention, .bytes_max = config.audit_bytes_max};
}

cell::CellConfig cells_of(const Config& config) {
  cell::CellConfig cells;
  cells.runner.stall_timeout = config.agent_stall_timeout;
  cells.runner.suspend_after = config.run_suspend_after;
  cells.runner.replay_bytes_max = config.run_replay_bytes_max;
  cells.page_out_after = config.page_out_after;
  cells.hibernate_after = config.hibernate_after;
  cells.on_stop = config.on_stop;
  cells.run_retention = config.run_retention;
  cells.idle_timeout = config.idle_timeout;
  cells.max_awake = config.max_awake;
  cells.busy_cpu_percent = config.busy_cpu_percent;
  cells.disk_max = {config.cell_disk_bytes, config.cell_inodes};
  return cells;
}

// What a reload needs besides what it changes.
struct Reloading {
  std::vector<std::string> arguments;  // of the command line
  asio::signal_set& asked;             // SIGHUP
  net::Policy& forwards;
};

std::string joined(const std::vector<std::string>& names) {
  return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "));
}

asio::awaitable<SettingChanges> reload(Reloader& reloader) {
  const SettingChanges changes = co_await reloader.reload();
  log::info("settings are read again: taken: {}; at the next start: {}", joined(changes.taken),
            joined(changes.needs_restart));
  co_return changes;
}

asio::awaitable<json::Value> answer_reload(Reloader& reloader) {
  const SettingChanges changes = co_await reload(reloader);
  const auto list = [](const std::vector<std::string>& names) {
    return json::Array(names.begin(), names.end());
  };
  co_return json::object(
      {{"taken", list(changes.taken)}, {"needs_restart", list(changes.needs_restart)}});
}

// Whenever SIGHUP comes. `certificates` is null where no TLS is served.
asio::awaitable<void> keep_reloading(Reloader& reloader, asio::signal_set& asked,
                                     certificates::Certificates* certificates) {
  for (;;) {
    co_await asked.async_wait(asio::use_awaitable);
    try {
      if (certificates != nullptr) co_await certificates->reread();
      co_await reload(reloader);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::error("settings are not read again: {}", error.what());
    }
  }
}

// Answers until one of `signals` comes. Throws Error where it cannot listen.
asio::awaitable<void> answer(const Config& config, cell::Supervisor& supervisor,
                             api::AuditLog& audit, asio::signal_set& signals,
                             Reloading& reloading) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto signing_key = api::SigningKey::from_file(config.state + "/preview.key");
  api::PreviewOptions options_of_previews{
      .domain = api::PreviewDomain::parse(config.preview_domain),
      .signer = api::PreviewSigner(signing_key),
      .trusted_proxies = config.trusted_proxies};
  Secure secured(config, executor, supervisor);
  api::Api api(supervisor, audit, options_of_previews.domain, signing_key, config.cors_origins,
               {secured.certificates.get(), secured.orders.get()});
  api::Proofs proofs(supervisor, secured.orders.get());
  api::Preview preview(supervisor, std::move(options_of_previews));
  auto apply = [&](const Config& now) {
    set_log(now);
    supervisor.configure(cells_of(now));
    supervisor.capacity().set_reserve(now.memory_reserve_bytes, now.disk_reserve_bytes);
    audit.set_limits(now.audit_retention, now.audit_bytes_max);
    api.set_cors_origins(now.cors_origins);
    preview.set_trusted_proxies(now.trusted_proxies);
    reloading.forwards = net::Policy::parse({.allow = now.forward_to});
  };
  Reloader reloader(executor, supervisor.pool(), reloading.arguments, config, apply);
  api.on_reload([&reloader] { return answer_reload(reloader); });
  http::ServerOptions options;
  options.host = config.host;
  options.port = config.port;
  auto handle = [&api, &preview, &proofs](http::Exchange& exchange) {
    if (proofs.takes(exchange.request())) return proofs.handle(exchange);
    return preview.takes(exchange.request()) ? preview.handle(exchange) : api.handle(exchange);
  };
  http::Server server(executor, options, handle);
  std::unique_ptr<http::Server> secure;
  async::TaskGroup tasks(executor);
  if (secured.certificates) {
    options.host = config.tls_host;
    options.port = config.tls_port;
    options.tls = &secured.certificates->identities();
    secure = std::make_unique<http::Server>(executor, options, handle);
    tasks.spawn(secure->run());
    secured.start();
  }
  tasks.spawn(server.run());
  tasks.spawn(keep_reloading(reloader, reloading.asked, secured.certificates.get()));
  say_where(config, server, secure.get());

  co_await wait_for(signals);
  sys::tell_service_manager("STOPPING=1");
  co_await server.drain(kDrainLimit);
  if (secure) co_await secure->drain(kDrainLimit);
  supervisor.expect_end();
  co_await server.close();
  if (secure) co_await secure->close();
  co_await tasks.close();
  co_await secured.close();
}

// Until one of `signals`, which may come from the first moment on.
asio::awaitable<void> serve(const Config& config, const cell::Machine& machine,
                            const cell::Sealer& sealer, asio::signal_set& signals,
                            Reloading reloading) {
  cell::Supervisor supervisor(machine, cells_of(config), sealer, config.state);
  co_await supervisor.open();
  machine.warm_agents.start();
  api::AuditLog audit(machine.executor, machine.pool, config.state + "/audit",
                      {.limits = audit_limits_of(config)});
  async::TaskGroup watching(machine.executor);
  watching.spawn(end_without(machine.spawner, signals));
  std::exception_ptr failure;
  try {
    co_await require_key(supervisor, config);
    audit.start();
    co_await answer(config, supervisor, audit, signals, reloading);
  } catch (...) {  // What has begun is ended all the same.
    failure = std::current_exception();
  }
  co_await watching.close();
  if (!failure && machine.spawner.is_lost()) {
    failure = std::make_exception_ptr(Error(ErrorCode::unavailable, "no_spawner",
                                            "cellar-spawn has ended", "start cellard again"));
  }
  co_await audit.close();
  co_await supervisor.close();
  co_await machine.warm_agents.close();
  co_await machine.spawner.close();
  if (failure) std::rethrow_exception(failure);
}

// What cells have here. Throws Error where that is less than what is configured. Forks: before any
// thread.
cell::Isolation require_level(const Config& config, const doctor::User& user) {
  const doctor::Findings findings = doctor::examine({.state = config.state,
                                                     .seal_key_file = config.seal_key_file,
                                                     .depth = doctor::Depth::quick,
                                                     .user = user});
  const auto level = doctor::parse_level(config.level).value();  // The command line checks it.
  doctor::require(doctor::judge(findings, level), level);
  const doctor::Judgement full = doctor::judge(findings, doctor::Level::full);
  cell::Isolation isolation{.rights = user.rights, .is_full = full.satisfied};
  for (const doctor::Finding& finding : full.lacking) {
    isolation.missing.push_back({finding.id, finding.means});
    log::warning("cells have less isolation than this software can give: {}: {} ({})", finding.id,
                 finding.found, finding.means);
  }
  for (const doctor::Finding& finding : findings) {
    if (finding.id != "image.default" || finding.verdict == doctor::Verdict::ok) continue;
    log::warning("default image: {}: {}; {}", finding.found, finding.means, finding.remedy);
  }
  return isolation;
}

// A user's daemon has rights only over processes below its namespace: where cells of an earlier
// one live, it enters theirs.
doctor::User enter(const Config& config) {
  if (sys::is_root()) return {};
  const std::vector<sys::ProcessId> all = cell::living_domains(config.state);
  const auto living = all.empty() ? std::nullopt : std::optional(all.front().pid);
  doctor::User user = doctor::become_daemon_user(config.state, living);
  if (!user.refusal.empty()) return user;
  try {
    user.cgroups = sandbox::take_delegated(cell::daemon_group_of(config.state), living);
  } catch (const Error& error) {
    user.no_cgroups = error.what();
  }
  return user;
}

// What is on disk has the ids of whoever made it.
void require_own_state(const std::string& state) {
  const auto cells = sys::open_file_if_exists(state + "/cells", O_RDONLY | O_DIRECTORY);
  if (!cells || sys::owner_of(cells->get()) == 0) return;
  throw Error(ErrorCode::conflict, "state_of_another",
              state + " is the state folder of another user's cellard",
              "start cellard as that user, or set --state to another folder");
}

// The state folder, held as long as what it returns exists.
auto take_state(const std::string& state, const doctor::User& user) {
  sys::make_dirs(state);
  require_own_state(state);
  if (user.rights != sandbox::Rights::root) doctor::note_state_ids(state, user.ids);
  auto lock = sys::try_lock_file(state + "/LOCK");
  if (lock) return lock;
  throw Error(ErrorCode::conflict, "state_in_use",
              state + " is used by another cellard that still runs");
}

cell::Sealer read_sealer(const Config& config) {
  cell::Sealer sealer = cell::Sealer::from_key_file(config.seal_key_file);
  if (!sealer.is_key_of(config.state)) {
    log::warning(
        "{} is not the key that {} is sealed with: secrets and values of sensitive steps do not "
        "open. Bring that key back; where it is lost, remove {}/seal-key.sha256",
        config.seal_key_file, config.state, config.state);
  }
  return sealer;
}

std::string read_llm_key(const std::string& state, const std::string& file,
                         const std::string& name) {
  if (file.empty()) {
    const char* value = std::getenv(name.c_str());
    if (value != nullptr && *value != '\0') return value;
    throw Error(ErrorCode::invalid_argument, "the variable " + name + " is not set");
  }
  if (doctor::is_inside(file, state)) {
    throw Error(ErrorCode::invalid_argument,
                "key_file " + file + " is inside --state: a copy of that would tell the key");
  }
  constexpr std::size_t kFileMax = 64 << 10;
  const auto text = sys::read_file(file, kFileMax);
  if (!text) throw Error(ErrorCode::invalid_argument, "key_file " + file + " is not there");
  return std::string(trim(*text));
}

// Blocking. Throws Error, naming the file.
llm::Settings read_llm_settings(const Config& config) {
  if (config.llm_file.empty()) return {};
  constexpr std::size_t kFileMax = 1 << 20;
  const auto text = sys::read_file(config.llm_file, kFileMax);
  const std::string place = "--llm " + config.llm_file + ": ";
  if (!text) throw Error(ErrorCode::invalid_argument, place + "there is no such file");
  const auto key = [&config](const std::string& file, const std::string& name) {
    return read_llm_key(config.state, file, name);
  };
  try {
    return llm::read_settings(*text, key);
  } catch (const Error& error) {
    throw Error(error.code(), error.reason(), place + error.what(), error.remediation());
  }
}

void arm_planned_faults() {
  const char* plan = std::getenv("CELLAR_FAULTS");
  if (plan == nullptr) return;
  log::warning("crashes are tested: {} says where this daemon fails", plan);
  arm_faults(plan);
}

// Before there are threads.
void prepare_process() {
  sys::raise_open_files(kOpenFilesMax);
  sys::keep_to_disk_quotas();
  arm_planned_faults();
}

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
