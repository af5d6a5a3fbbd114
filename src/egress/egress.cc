#include "egress/egress.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/sleep.h"
#include "base/error.h"
#include "egress/dns.h"
#include "egress/peek.h"
#include "egress/splice.h"

namespace cellar::egress {
namespace {

using asio::ip::tcp;
using asio::ip::udp;

constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::chrono::seconds kFirstBytesLimit{30};
constexpr std::chrono::seconds kConnectLimit{10};
constexpr std::chrono::milliseconds kAcceptPause{20};

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

asio::awaitable<std::vector<asio::ip::address>> resolve_on_host(std::string name) {
  tcp::resolver resolver(co_await asio::this_coro::executor);
  const auto [error, results] = co_await resolver.async_resolve(name, "", kAsTuple);
  std::vector<asio::ip::address> addresses;
  if (error) co_return addresses;
  for (const auto& result : results) addresses.push_back(result.endpoint().address());
  co_return addresses;
}

tcp::endpoint local_end(const tcp::socket& socket) { return socket.local_endpoint(); }

void reset(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

// Plain HTTP can be told why.
asio::awaitable<void> tell_refusal(tcp::socket& client, const std::string& target) {
  const std::string body =
      "cellar: " + target +
      " is not on this cell's allow-list; create the cell again with \"allow\" "
      "naming it\n";
  const std::string text =
      "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
  co_await asio::async_write(client, asio::buffer(text), kAsTuple);
}

// Counts one connection while it exists.
class Counted {
 public:
  explicit Counted(std::size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::size_t& count_;
};

asio::awaitable<bool> connect(tcp::socket& upstream, std::vector<tcp::endpoint> targets) {
  const auto [error, endpoint] = co_await asio::async_connect(upstream, targets, kAsTuple);
  co_return !error;
}

}  // namespace

Egress::Seams Egress::real_seams() { return {resolve_on_host, local_end}; }

Egress::Egress(asio::any_io_executor executor, Policy policy,
               std::function<void(const Refusal&)> on_refusal, Seams seams)
    : executor_(executor),
      policy_(std::move(policy)),
      on_refusal_(std::move(on_refusal)),
      seams_(std::move(seams)),
      tasks_(executor) {}

Egress::~Egress() = default;

asio::awaitable<void> Egress::close() { co_await tasks_.close(); }

void Egress::refuse(std::string target, std::uint16_t port, std::string why) {
  on_refusal_(Refusal{std::move(target), port, std::move(why)});
}

// ---- names ----

void Egress::serve_dns(sys::Fd socket) {
  // Shared with the coroutine that owns it.
  auto shared = std::make_shared<udp::socket>(executor_, udp::v4(), socket.release());
  tasks_.spawn(answer_dns(std::move(shared)));
}

std::string Egress::answer_query(std::string_view bytes) {
  const auto query = decode_dns_query(bytes);
  if (!query) return {};
  const std::string name = normal_name(query->name);
  if (!is_host_name(name) || !policy_.knows_name(name)) {
    if (query->type == kTypeA) refuse(name, kDnsPort, "the name is not on the allow-list");
    return encode_dns_refusal(*query);
  }
  return encode_dns_answer(*query, names_.address_of(name).to_uint());
}

asio::awaitable<void> Egress::answer_dns(std::shared_ptr<udp::socket> socket) {
  std::string buffer(kDnsBytesMax, '\0');
  for (;;) {
    udp::endpoint asker;
    const auto [error, size] =
        co_await socket->async_receive_from(asio::buffer(buffer), asker, kAsTuple);
    if (error == asio::error::operation_aborted) co_return;
    if (error) continue;
    const std::string answer = answer_query(std::string_view(buffer).substr(0, size));
    if (answer.empty()) continue;
    co_await socket->async_send_to(asio::buffer(answer), asker, kAsTuple);
  }
}

asio::awaitable<void> Egress::answer_dns_stream(Socket client) {
  for (;;) {
    std::string size_bytes(2, '\0');
    const auto [error, got] = co_await asio::async_read(client, asio::buffer(size_bytes), kAsTuple);
    if (error) co_return;
    std::string query(static_cast<std::size_t>(static_cast<unsigned char>(size_bytes[0]) << 8 |
                                               static_cast<unsigned char>(size_bytes[1])),
                      '\0');
    const auto [body_error, size] =
        co_await asio::async_read(client, asio::buffer(query), kAsTuple);
    if (body_error) co_return;
    std::string answer = answer_query(query);
    if (answer.empty()) co_return;
    answer.insert(0, 1, static_cast<char>(answer.size()));
    answer.insert(0, 1, static_cast<char>((answer.size() - 1) >> 8));
    co_await asio::async_write(client, asio::buffer(answer), kAsTuple);
  }
}

// ---- connections ----

void Egress::serve_tcp(sys::Fd listener, std::uint16_t port) {
  auto acceptor = std::make_shared<tcp::acceptor>(executor_, tcp::v4(), listener.release());
  tasks_.spawn(accept(std::move(acceptor), port));
}

asio::awaitable<void> Egress::accept(std::shared_ptr<tcp::acceptor> acceptor, std::uint16_t port) {
  for (;;) {
    auto [error, client] = co_await acceptor->async_accept(kAsTuple);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      co_await async::sleep_for(kAcceptPause);
      continue;
    }
    if (connection_count_ >= kConnectionsMax) {
      refuse("", port, "too many connections at a time");
      reset(client);
      continue;
    }
    tasks_.spawn(port == kDnsPort ? answer_dns_stream(std::move(client))
                                  : serve(std::move(client), port));
  }
}

// The first bytes of a connection must name the host that its address was given for.
asio::awaitable<bool> Egress::is_as_said(Socket& client, const std::string& name,
                                         std::uint16_t port, std::string& first_bytes) {
  if (port != kHttpPort && port != kHttpsPort) co_return true;
  std::string buffer(16 << 10, '\0');
  for (;;) {
    const auto [error, size] = co_await client.async_read_some(asio::buffer(buffer), kAsTuple);
    if (error) co_return false;
    first_bytes.append(buffer, 0, size);
    const Peek peek = port == kHttpsPort ? peek_tls(first_bytes) : peek_http(first_bytes);
    if (peek.kind == Peek::Kind::need_more) continue;
    const bool same = peek.kind == Peek::Kind::named && normal_name(peek.name) == name;
    if (!same) {
      refuse(peek.name.empty() ? name : peek.name, port,
             "the connection does not name the host that it was opened for");
    }
    co_return same;
  }
}

asio::awaitable<std::vector<tcp::endpoint>> Egress::targets_of(std::string name,
                                                               std::uint16_t port) {
  const auto addresses = co_await seams_.resolve(name);
  std::vector<tcp::endpoint> targets;
  for (const asio::ip::address& address : addresses) {
    if (is_private(address) && !policy_.allows_address(address, port)) {
      refuse(name, port, "it resolves to " + address.to_string() + ", which is not public");
      continue;
    }
    targets.emplace_back(address, port);
  }
  co_return targets;
}

asio::awaitable<void> Egress::serve(Socket client, std::uint16_t port) {
  const Counted counted(connection_count_);
  const asio::ip::address destination = seams_.destination(client).address();
  const auto name =
      destination.is_v4() ? names_.name_of(destination.to_v4()) : std::optional<std::string>();
  const std::string target = name ? *name : destination.to_string();
  const bool allowed =
      name ? policy_.allows_name(*name, port) : policy_.allows_address(destination, port);
  std::string first_bytes;
  if (!allowed) {
    refuse(target, port, "it is not on the allow-list");
    if (port == kHttpPort) co_await tell_refusal(client, target);
    reset(client);
    co_return;
  }
  std::vector<tcp::endpoint> targets;
  if (name) {
    auto deadline = close_after(client, kFirstBytesLimit);
    const bool as_said = co_await is_as_said(client, *name, port, first_bytes);
    deadline.cancel();
    if (as_said) targets = co_await targets_of(*name, port);
  } else {
    targets.emplace_back(destination, port);
  }
  Socket upstream(executor_);
  if (!targets.empty()) {
    auto deadline = close_after(upstream, kConnectLimit);
    const bool connected = co_await connect(upstream, targets);
    deadline.cancel();
    if (connected) {
      co_await splice(std::move(client), std::move(upstream), std::move(first_bytes));
      co_return;
    }
  }
  reset(client);
}

}  // namespace cellar::egress
