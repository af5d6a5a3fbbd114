#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/task_group.h"
#include "base/error.h"
#include "net/stream.h"
#include "net/tls_authority.h"
#include "net/tls_client.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::net {
namespace {

constexpr std::chrono::seconds kTestLimit{10};

// What a client that trusts `trusted` has of a server of `authority` that says it is `name`.
std::string visit(TlsAuthority& authority, const std::string& trusted, const std::string& said,
                  const std::string& wanted) {
  testing::TempDir dir;
  sys::replace_file(dir.file("ca.crt"), trusted);
  asio::io_context loop;
  Tcp::acceptor acceptor(loop, Tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  TlsClient client(dir.file("ca.crt"));
  async::TaskGroup tasks(loop.get_executor());
  auto serve = [](Tcp::acceptor& listener, TlsAuthority& ca,
                  std::string name) -> asio::awaitable<void> {
    Tcp::socket socket = co_await listener.async_accept(asio::use_awaitable);
    try {
      const auto channel = co_await ca.accept(std::move(socket), "", std::move(name), kTestLimit);
      co_await channel->write("hello");
      co_await channel->end();
    } catch (const boost::system::system_error&) {  // It is not trusted.
    }
  };
  std::string outcome;
  auto ask = [&]() -> asio::awaitable<void> {
    Tcp::socket socket(loop);
    co_await socket.async_connect(acceptor.local_endpoint(), asio::use_awaitable);
    auto connected = co_await client.connect(std::move(socket), wanted, kTestLimit);
    if (const auto* distrust = std::get_if<TlsClient::Distrust>(&connected)) {
      outcome = "no: " + distrust->why;
      co_return;
    }
    const auto& channel = std::get<std::unique_ptr<Channel>>(connected);
    std::string piece(64, '\0');
    while (const std::size_t size = co_await channel->read(piece)) outcome.append(piece, 0, size);
  };
  tasks.spawn(serve(acceptor, authority, said));
  asio::co_spawn(loop, ask(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
  return outcome;
}

}  // namespace

TEST_CASE("a certificate of an authority proves one name, to who trusts that authority") {
  TlsAuthority own = TlsAuthority::make("Cellar a");
  TlsAuthority other = TlsAuthority::make("Cellar b");
  CHECK(visit(own, own.certificate(), "api.test", "api.test") == "hello");
  CHECK(visit(own, own.certificate(), "api.test", "b.test").starts_with("no: "));
  CHECK(visit(own, other.certificate(), "api.test", "api.test").starts_with("no: "));
}

TEST_CASE("a client's word that it does not take a certificate is told apart from other failures") {
  const auto why = [](int reason) {
    const auto code = static_cast<int>(ERR_PACK(ERR_LIB_SSL, 0, reason));
    return TlsAuthority::why_refused({code, asio::error::get_ssl_category()});
  };
  CHECK(why(SSL_R_TLSV1_ALERT_UNKNOWN_CA) == Why::distrusted);
  CHECK(why(SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN) == Why::distrusted);
  CHECK(why(SSL_R_NO_SHARED_CIPHER) == Why::tls_failed);
  CHECK(why(SSL_R_UNSUPPORTED_PROTOCOL) == Why::tls_failed);
  CHECK_FALSE(TlsAuthority::why_refused(asio::error::eof));
  CHECK_FALSE(TlsAuthority::why_refused(asio::error::connection_reset));
}

TEST_CASE("an authority is the same one after it was kept, and no two are alike") {
  TlsAuthority made = TlsAuthority::make("Cellar a");
  TlsAuthority kept = TlsAuthority::from_key_text(made.key_text());
  CHECK(kept.certificate() == made.certificate());
  CHECK(kept.file_name() == made.file_name());
  CHECK(kept.file_name().size() == 10);
  CHECK(visit(kept, made.certificate(), "api.test", "api.test") == "hello");
  CHECK(TlsAuthority::make("Cellar a").certificate() != made.certificate());
  CHECK(made.certificate().find("PRIVATE") == std::string::npos);
  CHECK_THROWS_AS(TlsAuthority::from_key_text("nothing"), Error);
}

TEST_CASE("an authority makes certificates for as many hosts as there are") {
  TlsAuthority authority = TlsAuthority::make("Cellar a");
  for (std::size_t i = 0; i <= TlsAuthority::kHostsMax; ++i) {
    const std::string name = "h" + std::to_string(i) + ".test";
    const bool is_sample = i == 0 || i == TlsAuthority::kHostsMax;
    if (!is_sample) authority.prepare(name);
    if (is_sample) CHECK(visit(authority, authority.certificate(), name, name) == "hello");
  }
}

TEST_CASE("roots that cannot be read are an error") {
  CHECK_THROWS_AS(TlsClient("/no/such/file"), Error);
}

}  // namespace cellar::net
