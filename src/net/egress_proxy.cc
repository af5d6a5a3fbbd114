// The explicit proxy of an egress: CONNECT, and requests with a whole URL.

#include <boost/asio/write.hpp>

#include "base/log.h"
#include "net/egress.h"
#include "net/http_head.h"
#include "net/stream.h"

namespace cellar::net {
namespace {

constexpr std::string_view kConnected = "HTTP/1.1 200 Connection established\r\n\r\n";

}  // namespace

asio::awaitable<void> Egress::proxy(Tcp::socket& socket, Slot slot) {
  std::string head;
  const PeekedName peeked = co_await read_head(socket, head, peek_proxy_head, options_.head_limit);
  if (peeked.state == PeekedName::State::more) co_return;
  auto read = read_proxy_request(head);
  if (const auto* bad = std::get_if<BadProxyRequest>(&read)) {
    co_return co_await close_with(socket, bad_request_response(bad->text));
  }
  ProxyRequest& request = std::get<ProxyRequest>(read);
  boost::system::error_code is_name;
  const asio::ip::address address = asio::ip::make_address(request.host, is_name);
  Target target{request.host, {}, request.port};
  if (!is_name) target = target_of(Tcp::endpoint(address, request.port));
  if (auto refusal = refusal_of(target)) {
    co_return co_await proxy_refuse(socket, *std::move(refusal));
  }
  if (request.is_connect) {
    std::string rest = head.substr(http_head_size(head));
    co_return co_await proxy_connect(socket, target, std::move(rest), std::move(slot));
  }
  if (looks_at(target)) {
    co_return co_await proxy_session(socket, target, std::move(head), std::move(slot));
  }
  const auto in_clear = injection_->judge_clear(head, target.text(), target.port);
  if (in_clear) co_return co_await proxy_refuse(socket, *in_clear);
  std::string rest = head.substr(http_head_size(head));
  co_await proxy_request(socket, target, std::move(request), std::move(rest), std::move(slot));
}

asio::awaitable<void> Egress::proxy_connect(Tcp::socket& socket, Target target, std::string head,
                                            Slot slot) {
  std::optional<Tcp::socket> upstream;
  if (!looks_at(target)) {
    upstream = co_await proxy_reach(socket, target);
    if (!upstream) co_return;
  }
  const auto [failure, sent] =
      co_await asio::async_write(socket, asio::buffer(kConnected), kAsTuple);
  if (failure) co_return;
  // What follows is what would have come over a connection of its own.
  if (!upstream) co_return co_await serve_target(socket, target, std::move(head), std::move(slot));
  const bool goes_on = co_await check_name(socket, target, head);
  if (goes_on) join(socket, *std::move(upstream), target, std::move(head), std::move(slot));
}

// Another host may be asked for next over the connection: that is another one's session.
asio::awaitable<void> Egress::proxy_session(Tcp::socket& socket, Target target, std::string bytes,
                                            Slot slot) {
  SessionHooks hooks = hooks_of_session(std::move(slot));
  hooks.requests_max = 1;
  const Destination own{target.name, target.port, false};
  co_await serve_requests(plain_channel(std::move(socket), std::move(bytes)), own,
                          std::move(hooks));
}

asio::awaitable<void> Egress::proxy_request(Tcp::socket& socket, Target target,
                                            ProxyRequest request, std::string rest, Slot slot) {
  auto upstream = co_await proxy_reach(socket, target);
  if (!upstream) co_return;
  socket.set_option(Tcp::no_delay(true));
  const auto joined = std::make_shared<Joined>(std::move(socket), *std::move(upstream),
                                               options_.idle_limit, std::move(slot));
  joined->may_send = judge_of_clear(target, {});
  tasks_.spawn(pump(joined, Way::down, {}, meter_));
  tasks_.spawn(pump_request(joined, std::move(request.head), std::move(rest),
                            std::move(request.body), meter_));
}

asio::awaitable<std::optional<Tcp::socket>> Egress::proxy_reach(Tcp::socket& socket,
                                                                Target target) {
  Reached reached = co_await reach(target);
  if (auto* upstream = std::get_if<Tcp::socket>(&reached)) co_return std::move(*upstream);
  if (auto* refusal = std::get_if<Refusal>(&reached)) {
    co_await proxy_refuse(socket, std::move(*refusal));
    co_return std::nullopt;
  }
  count_failure(target);
  co_await close_with(socket, unreachable_response(target.text()));
  co_return std::nullopt;
}

asio::awaitable<void> Egress::proxy_refuse(Tcp::socket& socket, Refusal refusal) {
  tell(refusal);
  co_await close_with(socket, refusal_response(refusal));
}

}  // namespace cellar::net
