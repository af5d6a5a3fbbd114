#include "certificates/order.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "certificates/acme_command.h"
#include "net/tls_authority.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::certificates {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

std::string why_no_command(std::string_view text) {
  try {
    AcmeCommand::parse(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "good";
}

}  // namespace

TEST_CASE("an order is due at once, after failures ever later, and before its certificate ends") {
  const WallTime now = wall_now();
  const OrderTimes times;
  Order order{.failures = 0, .attempted_at = {}, .problem = {}};
  CHECK(due_at(order, std::nullopt, times) <= now);
  order.attempted_at = now;
  order.failures = 1;
  CHECK(due_at(order, std::nullopt, times) == now + seconds(300));
  order.failures = 3;
  CHECK(due_at(order, std::nullopt, times) == now + seconds(1200));
  order.failures = 1000;
  CHECK(due_at(order, std::nullopt, times) == now + hours(24));

  const std::string text = net::TlsAuthority::make("ca").make_host("a.test", now);
  const auto identity = net::TlsIdentity::from_pem(text, text, now);
  const auto lifetime = identity.expires_at() - identity.valid_from();
  order.failures = 0;
  CHECK(due_at(order, identity, times) == identity.expires_at() - lifetime / 3);
  // One that has come too near to its end to be kept is not asked for again and again.
  order.attempted_at = identity.expires_at();
  CHECK(due_at(order, identity, times) == identity.expires_at() + seconds(300));
  // A renewal that failed waits, too.
  order.failures = 1;
  order.attempted_at = identity.expires_at();
  CHECK(due_at(order, identity, times) == identity.expires_at() + seconds(300));
}

TEST_CASE("an order survives, and goes without what an operator put beside it") {
  const testing::TempDir dir;
  const std::string folder = dir.file("certificates/a.test");
  sys::make_dirs(dir.file("certificates"));
  CHECK_FALSE(read_order(folder));
  const Order order{.failures = 2, .attempted_at = from_unix_ms(1234), .problem = "no \"proof\""};
  write_order(folder, order);
  const auto read = read_order(folder);
  REQUIRE(read);
  CHECK(read->failures == 2);
  CHECK(read->attempted_at == order.attempted_at);
  CHECK(read->problem == order.problem);
  sys::replace_file(folder + "/privkey.pem", "theirs");
  sys::replace_file(issued_file(folder), "ours");
  remove_order(folder);
  CHECK_FALSE(read_order(folder));
  CHECK_FALSE(sys::exists(issued_file(folder)));
  CHECK(sys::exists(folder + "/privkey.pem"));
  sys::remove_file(folder + "/privkey.pem");
  remove_order(folder);
  CHECK_FALSE(sys::exists(folder));
}

TEST_CASE("what a program said is text that a record takes, whatever it was") {
  const testing::TempDir dir;
  CHECK(end_of_output(" no proof\n") == "no proof");
  CHECK(end_of_output("caf\xc3\xa9 \xff\xe2\x82") == "caf\xc3\xa9 ???");
  std::string much;
  for (int i = 0; i < 4096; ++i) much += "\xc3\xa9";
  much += "x";  // so that the cut is within a character
  const std::string end = end_of_output(much);
  CHECK(end.size() == 4096);
  CHECK(end.starts_with("?\xc3\xa9"));
  write_order(dir.file("a.test"), {.failures = 1, .attempted_at = wall_now(), .problem = end});
  CHECK(read_order(dir.file("a.test"))->problem == end);
}

TEST_CASE("a command is words, and what stands in braces is put in") {
  const auto command =
      AcmeCommand::parse("lego  --path {directory} --root={webroot}/x -d {domain} run");
  CHECK(command.program() == "lego");
  CHECK(command.arguments("a.test", "/w", "/d") ==
        std::vector<std::string>{"--path", "/d", "--root=/w/x", "-d", "a.test", "run"});
  CHECK(why_no_command(" ") == "--acme-command: it names no program");
  CHECK(why_no_command("lego run") == "--acme-command: no word has {domain}");
  CHECK(why_no_command("lego {domain} {email}") ==
        "--acme-command: \"{email}\" has what is not {domain}, {webroot}, {directory}");
}

TEST_CASE("what programs put into their folder is found as each of them names it") {
  for (const auto& [chain, key] :
       {std::pair("a.test/fullchain.pem", "a.test/privkey.pem"),
        std::pair("live/a.test/fullchain.pem", "live/a.test/privkey.pem"),
        std::pair("certificates/a.test.crt", "certificates/a.test.key"),
        std::pair("a.test/cert.pem", "private/a.test/key.pem")}) {
    const testing::TempDir dir;
    for (const char* folder : {"a.test", "live/a.test", "certificates", "private/a.test"}) {
      sys::make_dirs(dir.file(folder));
    }
    sys::replace_file(dir.file(chain), "c");
    CHECK_FALSE(find_issued(dir.path(), "a.test"));
    sys::replace_file(dir.file(key), "k");
    const auto found = find_issued(dir.path(), "a.test");
    REQUIRE(found);
    CHECK(found->chain == dir.file(chain));
    CHECK(found->key == dir.file(key));
  }
}

TEST_CASE("a token is a name, and no way to another file") {
  CHECK(is_challenge_token("aZ09_-"));
  for (const char* bad : {"", "..", "a/b", "a.b", "a%2f"}) CHECK_FALSE(is_challenge_token(bad));
  CHECK_FALSE(is_challenge_token(std::string(129, 'a')));
}

}  // namespace cellar::certificates
