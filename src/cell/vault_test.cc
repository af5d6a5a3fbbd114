#include "cell/vault.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "async/test_run.h"
#include "base/error.h"
#include "json/json.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

using Kind = sandbox::DomainKind;

SecretSet secrets_of(const char* text) { return read_secrets(json::parse(text)); }

// A cell's folder, and a vault of it for as long as `use` runs.
struct VaultWorld {
  testing::TempDir dir;
  CellLayout layout{dir.path()};

  template <typename Use>
  void with_vault(const std::string& key, Use use) {
    async::Pool pool(1);
    const Sealer sealer(key);
    Vault vault(pool, sealer, layout, "c");
    asio::io_context loop;
    async::run_on(loop, use(vault));
  }
};

const std::string kKey(32, 'k');

}  // namespace

TEST_CASE("a secret keeps its placeholder when its value changes, and is sealed with it") {
  VaultWorld world;
  std::string placeholder;
  auto first = [&](Vault& vault) -> asio::awaitable<void> {
    co_await vault.store(secrets_of(
        R"({"K":{"value":"value-1-xx","hosts":["a.test"],"header":"X","shell":true},"P":"p"})"));
    const auto contents = co_await vault.open();
    placeholder = contents->secrets.at("K").placeholder;
  };
  world.with_vault(kKey, first);
  auto second = [&](Vault& vault) -> asio::awaitable<void> {
    const auto kept = co_await vault.open();
    CHECK(kept->secrets.at("K").header == "X");
    CHECK(kept->authority != nullptr);
    co_await vault.store(secrets_of(R"({"K":{"value":"value-2-xx","hosts":["b.test"]}})"));
    const auto changed = co_await vault.open();
    CHECK(changed->secrets.at("K").placeholder == placeholder);
    CHECK(changed->secrets.at("K").value == "value-2-xx");
    CHECK(changed->authority == kept->authority);
  };
  world.with_vault(kKey, second);
  CHECK(placeholder.starts_with("cellar-secret-"));
  const std::string sealed = sys::read_file(world.layout.secrets()).value() +
                             sys::read_file(world.layout.authority()).value();
  for (const char* secret : {"value-2", "PRIVATE", "b.test"}) {
    CHECK(sealed.find(secret) == std::string::npos);
  }
}

TEST_CASE("a vault of another key does not open, but may be filled anew") {
  VaultWorld world;
  auto fill = [&](Vault& vault) -> asio::awaitable<void> {
    co_await vault.store(secrets_of(R"({"K":"v"})"));
  };
  world.with_vault(kKey, fill);
  bool was_refused = false;
  auto fill_anew = [&](Vault& vault) -> asio::awaitable<void> {
    try {
      co_await vault.open();
    } catch (const Error& error) {
      was_refused = error.reason() == "secrets_sealed";
    }
    co_await vault.store(secrets_of(R"({"L":"w"})"));
    const auto contents = co_await vault.open();
    CHECK(contents->secrets.contains("L"));
  };
  world.with_vault(std::string(32, 'x'), fill_anew);
  CHECK(was_refused);
}

TEST_CASE("each domain has in its environment what is for it, and no value that has hosts") {
  Vault::Contents contents;
  contents.secrets = secrets_of(
      R"({"A":{"value":"value-of-a","hosts":["a.test"]},"P":"plain",
          "S":{"value":"value-of-s","hosts":["a.test"],"shell":true}})");
  for (auto& [name, secret] : contents.secrets) secret.placeholder = "for " + name;
  CHECK(contents.environment(Kind::agent) ==
        Secrets{{"A", "for A"}, {"P", "plain"}, {"S", "for S"}});
  CHECK(contents.environment(Kind::shell) == Secrets{{"S", "for S"}});
  CHECK(contents.injection(Kind::agent)->values_for({"a.test", 443, true}).size() == 2);
  CHECK(contents.injection(Kind::shell)->values_for({"a.test", 443, true}).size() == 1);
  contents.authority = std::make_shared<net::TlsAuthority>(net::TlsAuthority::make("c"));
  CHECK(contents.environment(Kind::agent).at("NODE_EXTRA_CA_CERTS") ==
        "/data/trust/cellar-cell.crt");
  CHECK(contents.environment(Kind::shell).at("CELLAR_CA_FILE") == Vault::kShellCaFile);
}

TEST_CASE("a secret has a name that an environment variable may have") {
  for (const char* good : {"A", "_", "api-key", "a.b", "Key2"}) {
    CHECK(read_secret(good, json::Value("v")).value == "v");
  }
  const std::string longest(kSecretNameBytesMax, 'x');
  CHECK_NOTHROW(read_secret(longest, json::Value("v")));
  for (const std::string& bad :
       {std::string(), std::string("A B"), std::string("A=B"), std::string("2A"),
        std::string("A\0", 2), std::string("é"), std::string("A\nB"), longest + "x"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read_secret(bad, json::Value("v")), Error);
    CHECK_THROWS_AS(read_secrets(json::object({{bad, "v"}})), Error);
  }
  CHECK_THROWS_WITH_AS(
      read_secret("A B", json::Value("v")),
      "the secret's name \"A B\" must be 1 to 256 letters, digits, \"_\", \"-\" and \".\", and not "
      "begin with a digit",
      Error);
}

TEST_CASE("more secrets than a cell may have are refused") {
  SecretSet many;
  for (std::size_t i = 0; i <= kSecretsMax; ++i) many["K" + std::to_string(i)].value = "v";
  CHECK_THROWS_AS(check(many), Error);
  many.erase("K0");
  check(many);
}

TEST_CASE("more secrets than are looked for in what one host sends are refused") {
  SecretSet many;
  for (std::size_t i = 0; i <= kSecretsOfHostMax; ++i) {
    many["K" + std::to_string(i)] = {.value = "a-value-of-one", .hosts = {"a.test"}};
  }
  CHECK_THROWS_AS(check(many), Error);
  many["K0"].hosts = {"*.test"};
  CHECK_THROWS_AS(check(many), Error);
  many["K0"].hosts = {"b.test"};
  check(many);
}

}  // namespace cellar::cell
