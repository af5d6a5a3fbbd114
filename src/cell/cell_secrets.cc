// The secrets of a cell, and what its commands have of them.

#include "base/error.h"
#include "base/log.h"
#include "cell/cell.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::seconds kTrustLimit{20};

}  // namespace

asio::awaitable<SecretSet> Cell::secrets() {
  require_open();
  const auto contents = co_await vault_.open();
  co_return contents->secrets;
}

asio::awaitable<Secrets> Cell::agent_environment() {
  try {
    const auto contents = co_await vault_.open();
    co_return contents->environment(Domains::Kind::agent);
  } catch (const Error& error) {
    if (error.reason() != "secrets_sealed") throw;  // Its agent does not run, then.
  }
  co_return Secrets();
}

asio::awaitable<void> Cell::apply_secrets(CellSettings settings, CellSpec& next) {
  SecretSet all;
  if (settings.secrets) {
    all = std::move(*settings.secrets);
  } else {
    all = co_await secrets();
  }
  for (auto& [name, secret] : settings.changed_secrets) {
    if (secret) {
      all[name] = std::move(*secret);
    } else if (all.erase(name) == 0) {
      throw Error(ErrorCode::not_found, "secret_not_found",
                  "the cell has no secret \"" + name + "\"");
    }
  }
  cell::check(all);
  next.has_secrets = !all.empty();
  co_await vault_.store(std::move(all));
}

asio::awaitable<CommandPlace> Cell::shell_place(CommandRequest& command) {
  const auto contents = co_await vault_.open_for_network();
  if (contents->authority) co_await trust_authority(contents->authority);
  for (const auto& [name, value] : contents->environment(Domains::Kind::shell)) {
    command.env.emplace(name, value);
  }
  co_return co_await domains_.place(Domains::Kind::shell, command.resources);
}

// Where that does not work, programs refuse what the authority has signed.
asio::awaitable<void> Cell::trust_authority(std::shared_ptr<net::TlsAuthority> authority) {
  const auto turn = co_await trust_turns_.turn();  // Of the first commands one does it for all.
  const std::shared_ptr<DomainLink> domain = co_await domains_.require(Domains::Kind::shell);
  if (trusting_.lock() == domain) co_return;
  CommandRequest request;
  request.argv = trust_command(authority->file_name());
  request.stdin_bytes = authority->certificate();
  request.cwd = "/";
  request.timeout = kTrustLimit;
  const CommandPlace place = co_await domains_.place(Domains::Kind::shell);
  struct Leave {
    Domains& domains;
    const CommandPlace& place;
    ~Leave() { domains.leave(place); }
  } const leave{domains_, place};
  const CommandResult result = co_await run_command(place, std::move(request), nullptr, outputs_);
  trusting_ = place.domain;
  if (result.exit_code == 0) co_return;
  log::warning("cell {}: its commands do not trust its own certificate authority: {}",
               log::cell(spec_.cell_id), result.stderr_bytes);
}

}  // namespace cellar::cell
