#include "net/tls_identity.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/task_group.h"
#include "base/error.h"
#include "net/stream.h"
#include "net/tls_authority.h"
#include "net/tls_client.h"
#include "net/tls_either.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::net {
namespace {

TlsIdentity identity_for(const TlsAuthority& authority, const std::string& name) {
  const std::string text = authority.make_host(name, wall_now());
  return TlsIdentity::from_pem(text, text, wall_now());
}

std::string why_not(const std::string& chain, const std::string& key, WallTime now = wall_now()) {
  try {
    TlsIdentity::from_pem(chain, key, now);
  } catch (const Error& error) {
    CHECK(error.reason() == "invalid_certificate");
    return error.what();
  }
  return "good";
}

// What a client that trusts `authority` has of a server with `identities`, asked for `name`.
std::string call(TlsIdentities& identities, const TlsAuthority& authority,
                 const std::string& name) {
  testing::TempDir dir;
  sys::replace_file(dir.file("ca.crt"), authority.certificate());
  asio::io_context loop;
  Tcp::acceptor acceptor(loop, Tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  TlsClient client(dir.file("ca.crt"));
  async::TaskGroup tasks(loop.get_executor());
  auto serve = [&]() -> asio::awaitable<void> {
    TlsEither<Tcp::socket> stream(co_await acceptor.async_accept(asio::use_awaitable));
    try {
      co_await stream.begin_tls(identities, "");
      CHECK(stream.is_tls());
      const std::array<asio::const_buffer, 2> parts = {asio::buffer("hel", 3),
                                                       asio::buffer("lo", 2)};
      co_await asio::async_write(stream, parts, asio::use_awaitable);
      co_await stream.end_tls();
    } catch (const boost::system::system_error&) {  // It is not trusted.
    }
  };
  std::string outcome;
  auto ask = [&]() -> asio::awaitable<void> {
    Tcp::socket socket(loop);
    co_await socket.async_connect(acceptor.local_endpoint(), asio::use_awaitable);
    const std::chrono::seconds kLimit(10);
    auto connected = co_await client.connect(std::move(socket), name, kLimit);
    if (const auto* distrust = std::get_if<TlsClient::Distrust>(&connected)) {
      outcome = "no: " + distrust->why;
      co_return;
    }
    const auto& channel = std::get<std::unique_ptr<Channel>>(connected);
    std::string piece(64, '\0');
    while (const std::size_t size = co_await channel->read(piece)) outcome.append(piece, 0, size);
    co_await channel->end();
  };
  tasks.spawn(serve());
  asio::co_spawn(loop, ask(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
  return outcome;
}

}  // namespace

TEST_CASE("an identity is a certificate, its own key, and a time that is not over") {
  const TlsAuthority authority = TlsAuthority::make("ca");
  const std::string text = authority.make_host("a.test", wall_now());
  const TlsIdentity identity = TlsIdentity::from_pem(text, text, wall_now());
  CHECK(identity.covers("a.test"));
  CHECK_FALSE(identity.covers("b.test"));
  CHECK(identity.expires_at() > wall_now() + TlsAuthority::kHostLifetime / 2);
  CHECK(identity.valid_from() < wall_now());
  CHECK(identity == TlsIdentity::from_pem(text, text, wall_now()));
  CHECK_FALSE(identity == identity_for(authority, "a.test"));

  const std::string other = authority.make_host("a.test", wall_now());
  CHECK(why_not("", text).starts_with("there is no certificate"));
  CHECK(why_not(text, "").starts_with("there is no private key"));
  CHECK(why_not(text, other).starts_with("the private key is not the certificate's"));
  CHECK(why_not(text, text, identity.expires_at()).starts_with("the certificate expired at 20"));
  CHECK(why_not(text + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", text)
            .starts_with("a certificate of the chain does not read"));
  std::string long_chain = text;
  for (int i = 0; i < 16; ++i) long_chain += authority.certificate();
  CHECK(why_not(long_chain, text) == "good");
  CHECK(why_not(long_chain + authority.certificate(), text).starts_with("the chain does not fit"));
  // Not a question at the terminal.
  CHECK(why_not(text,
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGjMF8GCSqGSIb3DQEFDTBS\n"
                "-----END ENCRYPTED PRIVATE KEY-----\n")
            .starts_with("there is no private key in PEM without a password"));
}

TEST_CASE("a client is shown the identity of the host that it names, or else the base one") {
  const TlsAuthority authority = TlsAuthority::make("ca");
  TlsIdentities identities(identity_for(authority, "base.test"));
  identities.set("own.test", identity_for(authority, "own.test"));
  CHECK(call(identities, authority, "base.test") == "hello");
  CHECK(call(identities, authority, "own.test") == "hello");
  CHECK(call(identities, authority, "other.test").starts_with("no: "));
  identities.set("own.test", std::nullopt);
  CHECK(call(identities, authority, "own.test").starts_with("no: "));
  identities.set_base(identity_for(authority, "other.test"));
  CHECK(call(identities, authority, "other.test") == "hello");
}

}  // namespace cellar::net
