#include "daemon/serve.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <memory>

#include "api/api.h"
#include "api/preview.h"
#include "api/proofs.h"
#include "async/sleep.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "cell/supervisor.h"
#include "certificates/orders.h"
#include "daemon/reloader.h"
#include "http/server.h"
#include "sys/service_manager.h"

namespace cellar::daemon {
namespace {

constexpr const char* kOwner = "dev";
constexpr std::chrono::milliseconds kDrainLimit{5000};

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
  cells.unload_after = config.unload_after;
  cells.on_stop = config.on_stop;
  cells.run_retention = config.run_retention;
  cells.idle_timeout = config.idle_timeout;
  cells.max_awake = config.max_awake;
  cells.busy_cpu_percent = config.busy_cpu_percent;
  cells.disk_max = {config.cell_disk_bytes, config.cell_inodes};
  return cells;
}

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

}  // namespace

void set_log(const Config& config) {
  log::set_level(level_of(config.log_level));
  log::set_format(config.log_format == "json" ? log::Format::json : log::Format::text);
}

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

}  // namespace cellar::daemon
