#include "certificates/orders.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "async/sleep.h"
#include "net/tls_authority.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::certificates {
namespace {

using std::chrono::seconds;

// Orders of verified domains, by a program that notes what it is asked for, and then does `rest`.
struct OrdersFixture {
  testing::TempDir root;
  std::string dir = root.file("certificates");
  async::Pool pool{1};
  asio::io_context loop{1};
  Certificates::IsVerified everybody = [](const std::string&) { return true; };
  Certificates certificates;
  Orders orders;

  explicit OrdersFixture(const std::string& rest)
      : certificates(loop.get_executor(), pool,
                     Certificates::Options{.base = put_base(), .dir = root.file("shown")},
                     everybody),
        orders(loop.get_executor(), pool, options(rest), certificates, everybody) {}

  PairFiles put_base() const {
    const std::string file = root.file("base.pem");
    sys::replace_file(file, net::TlsAuthority::make("ca").make_host("cells.test", wall_now()));
    return {file, file};
  }
  Orders::Options options(const std::string& rest) const {
    const std::string program = root.file("program");
    sys::replace_file(program, "#!/bin/sh\necho $1 >> " + root.file("asked") + "\n" + rest + "\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    // Whoever fails is due again at once.
    const OrderTimes no_pause{.first_pause = seconds(0), .pause_max = seconds(0)};
    return {.command = AcmeCommand::parse(program + " {domain} {directory}"),
            .dir = dir,
            .work_dir = root.file("acme"),
            .webroot = root.file("webroot"),
            .wait_limit = seconds(5),
            .times = no_pause};
  }
  // Notes one that failed so long ago.
  void put_failed(const std::string& domain, seconds ago) const {
    sys::make_dirs(dir);
    write_order(dir + "/" + domain,
                {.failures = 1, .attempted_at = wall_now() - ago, .problem = "no"});
  }
  // What the program was asked for first.
  std::string asked(std::size_t bytes) const {
    return sys::read_file(root.file("asked")).value_or("").substr(0, bytes);
  }
  // Waits for it, ten seconds at most.
  static asio::awaitable<void> until(std::function<bool()> is_so) {
    const std::chrono::milliseconds kPause(5);
    for (int i = 0; i < 2000 && !is_so(); ++i) co_await async::sleep_for(kPause);
  }
  // Runs orders until `work`, which is given them, has ended.
  template <typename Work>
  void run(Work work) {
    orders.start();
    auto all = [&]() -> asio::awaitable<void> {
      co_await work();
      co_await orders.close();
    };
    asio::co_spawn(loop, all(), [](const std::exception_ptr& failure) { CHECK(!failure); });
    loop.run();
  }
};

}  // namespace

TEST_CASE("domains that fail again and again keep no other one from its turn") {
  OrdersFixture fixture("exit 1");
  fixture.put_failed("a.test", seconds(10));
  fixture.put_failed("z.test", seconds(20));
  fixture.run([&]() -> asio::awaitable<void> {
    auto are_asked = [&] { return fixture.asked(28).size() == 28; };
    co_await fixture.until(are_asked);
  });
  CHECK(fixture.asked(28) == "z.test\na.test\nz.test\na.test\n");
}

TEST_CASE("domains that somebody asks for and those that are due have it by turns") {
  OrdersFixture fixture("until [ -e $2/../go ]; do sleep 0.01; done; exit 1");
  fixture.put_failed("a.test", seconds(300));
  fixture.put_failed("b.test", seconds(200));
  fixture.put_failed("m.test", seconds(100));
  fixture.run([&]() -> asio::awaitable<void> {
    auto is_running = [&] { return fixture.asked(7).size() == 7; };
    co_await fixture.until(is_running);
    for (const char* domain : {"m.test", "n.test"}) {
      asio::co_spawn(fixture.loop, fixture.orders.order(domain), [](const std::exception_ptr&) {});
      auto is_ordered = [&] {
        const auto view = fixture.orders.view(domain);
        return view && view->is_pending;
      };
      co_await fixture.until(is_ordered);
    }
    sys::replace_file(fixture.root.file("go"), "");
    auto are_tried = [&] {
      const auto is_pending = [&](const char* domain) {
        return fixture.orders.view(domain)->is_pending;
      };
      return !is_pending("m.test") && !is_pending("n.test");
    };
    co_await fixture.until(are_tried);
  });
  CHECK(fixture.asked(28) == "a.test\nn.test\nb.test\nm.test\n");
}

TEST_CASE("a certificate that was got and cannot be shown counts as a failure") {
  OrdersFixture fixture(
      "mkdir -p $2/$1; for file in fullchain privkey; do cp $2/../base.pem $2/$1/$file.pem; done");
  std::optional<Orders::View> view;
  fixture.run([&]() -> asio::awaitable<void> {
    std::string domain = "cells.test";
    co_await fixture.orders.order(std::move(domain));
    view = fixture.orders.view("cells.test");
  });
  CHECK(sys::exists(issued_file(fixture.dir + "/cells.test")));
  REQUIRE(view);
  CHECK(view->problem == "what the program got could not be read again");
}

}  // namespace cellar::certificates
