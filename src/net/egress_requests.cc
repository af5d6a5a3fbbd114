// Requests that an egress looks at, and those whose bytes it only watches.

#include "base/log.h"
#include "net/client_hello.h"
#include "net/egress.h"
#include "net/placeholder.h"
#include "net/stream.h"

namespace cellar::net {
namespace {}  // namespace

void Egress::set_injection(std::shared_ptr<const Injection> injection,
                           std::shared_ptr<TlsAuthority> authority) {
  injection_ = std::move(injection);
  authority_ = std::move(authority);
}

bool Egress::looks_at(const Target& target) const {
  if (target.name.empty()) return false;
  return injection_->covers(target.name, target.port) ||
         policy_.rules()->covers(target.name, target.port);
}

SessionHooks Egress::hooks_of_session(Slot slot) {
  return {.injection = [this] { return injection_; },
          .rules = [this] { return policy_.rules(); },
          .open = [this](Destination to, Leave leave) { return open(std::move(to), leave); },
          .refusal = [this](const Destination& to) { return refusal_of({to.name, {}, to.port}); },
          .tell = [this](const Refusal& refusal) { tell(refusal); },
          .spawn = [this](asio::awaitable<void> task) { tasks_.spawn(std::move(task)); },
          .meter = meter_,
          .idle_limit = options_.idle_limit,
          .kept = std::move(slot)};
}

asio::awaitable<void> Egress::serve_target(Tcp::socket& socket, Target target, std::string head,
                                           Slot slot) {
  const bool goes_on = co_await check_name(socket, target, head);
  if (!goes_on) co_return;
  if (!looks_at(target)) {
    const bool by_tls = is_tls(head);
    const auto in_clear =
        by_tls ? std::nullopt : injection_->judge_clear(head, target.text(), target.port);
    if (in_clear) co_return co_await refuse(socket, *in_clear);
    Reached reached = co_await reach(target);
    if (auto* refusal = std::get_if<Refusal>(&reached)) {
      co_return co_await refuse(socket, std::move(*refusal));
    }
    auto* upstream = std::get_if<Tcp::socket>(&reached);
    if (upstream == nullptr) co_return co_await fail(socket, target);
    co_return join(socket, std::move(*upstream), target, std::move(head), std::move(slot));
  }
  socket.set_option(Tcp::no_delay(true));
  const Destination own{target.name, target.port, is_tls(head)};
  std::unique_ptr<Channel> client;
  if (!own.by_tls) {
    client = plain_channel(std::move(socket), std::move(head));
  } else if (authority_ != nullptr) {
    co_await keep_pace(openings_pace_);
    try {
      const std::shared_ptr<TlsAuthority> authority = authority_;
      client = co_await authority->accept(std::move(socket), std::move(head), own.name,
                                          options_.head_limit);
    } catch (const boost::system::system_error& error) {
      const auto why = TlsAuthority::why_refused(error.code());
      if (why) tell({own.name, own.port, *why, error.code().message()});
    }
  }
  if (!client) co_return;
  co_await serve_requests(std::move(client), own, hooks_of_session(std::move(slot)));
}

asio::awaitable<Egress::Reached> Egress::reach_forward(Target target) {
  const bool is_listed = options_.forwards != nullptr &&
                         options_.forwards->judge_name(target.name, target.port).allows();
  if (!is_listed) co_return Refusal{target.name, target.port, Why::forward_not_listed};
  // By the operator's list, but never where the cell's own policy denies an address.
  auto judge = [this, port = target.port](const asio::ip::address& address) {
    Policy::Verdict verdict = policy_.judge_upstream(address, port);
    if (verdict.says == Policy::Says::denied) return verdict;
    return options_.forwards->judge_upstream(address, port);
  };
  co_return co_await reach_judged(std::move(target), std::move(judge));
}

asio::awaitable<Opened> Egress::open(Destination to, Leave leave) {
  const Target target{to.name, {}, to.port};
  if (leave == Leave::of_policy) {  // It may have changed since the connection began.
    if (auto refusal = refusal_of(target)) co_return *std::move(refusal);
  }
  Reached reached =
      leave == Leave::of_policy ? co_await reach(target) : co_await reach_forward(target);
  if (auto* refusal = std::get_if<Refusal>(&reached)) co_return std::move(*refusal);
  auto* upstream = std::get_if<Tcp::socket>(&reached);
  if (upstream != nullptr && !to.by_tls) co_return plain_channel(std::move(*upstream));
  if (upstream != nullptr && options_.tls != nullptr) {
    try {
      auto secured =
          co_await options_.tls->connect(std::move(*upstream), to.name, options_.connect_limit);
      if (auto* channel = std::get_if<std::unique_ptr<Channel>>(&secured)) {
        co_return std::move(*channel);
      }
      const std::string why = std::get<TlsClient::Distrust>(secured).why;
      co_return Refusal{to.name, to.port, Why::bad_certificate, why};
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      log::debug("cell {}: TLS of {}:{}: {}", log::cell(cell_id_), to.name, to.port, error.what());
    }
  }
  ++meter_.usage().failures;
  co_return Unreachable();
}

std::function<bool(std::string_view)> Egress::judge_of_clear(Target target, std::string_view head) {
  if (injection_->empty() || is_tls(head)) return {};
  // Shared, as functions are copied.
  auto scan = std::make_shared<PlaceholderScan>();
  return [this, target = std::move(target), scan](std::string_view bytes) {
    if (!scan->sees(bytes)) return true;
    const auto named = injection_->judge_clear(bytes, target.text(), target.port);
    tell(named.value_or(Refusal{target.text(), target.port, Why::secret_in_clear}));
    return false;
  };
}

}  // namespace cellar::net
