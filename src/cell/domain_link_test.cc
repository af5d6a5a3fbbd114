#include "cell/domain_link.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>

#include <array>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "sys/file.h"
#include "sys/seqpacket.h"

namespace cellar::cell {
namespace {

// A link whose cell-init is this test.
struct Fixture {
  asio::io_context loop;
  sys::Fd init;
  std::shared_ptr<DomainLink> link;

  Fixture() {
    auto [ours, theirs] = sys::seqpacket_pair();
    init = std::move(theirs);
    link = std::make_shared<DomainLink>(loop.get_executor(), std::move(ours));
    asio::co_spawn(loop, link->serve(), [](const std::exception_ptr&) {});
    run();
  }

  // All that can be done now; a loop that once had nothing left to do wants to be told.
  void run() {
    loop.restart();
    loop.poll();
  }

  // Starts a program; gives what came of it, once the loop has run.
  struct Start {
    std::uint32_t pid = 0;
    std::string failure;
    bool done = false;
  };
  std::shared_ptr<Start> start(std::uint32_t id) {
    const auto outcome = std::make_shared<Start>();
    wire::SpawnRequest request;
    request.id = id;
    request.argv = {"true"};
    asio::co_spawn(loop, link->start(std::move(request), {}),
                   [outcome](const std::exception_ptr& error, std::uint32_t pid) {
                     outcome->done = true;
                     outcome->pid = pid;
                     try {
                       if (error) std::rethrow_exception(error);
                     } catch (const Error& thrown) {
                       outcome->failure = thrown.reason();
                     }
                   });
    run();
    return outcome;
  }
};

}  // namespace

TEST_CASE("a program that runs is told by its pid, and is lost with its domain") {
  Fixture domain;
  const auto started = domain.start(1);
  CHECK_FALSE(started->done);
  sys::send_message(domain.init.get(), wire::encode(wire::InitReport(wire::Started{1, 42})));
  domain.run();
  CHECK(started->done);
  CHECK(started->pid == 42);

  // Between its end and the moment when the loop comes to it, a signal has nobody to reach.
  domain.init.reset();
  CHECK(domain.link->is_lost());
  CHECK_NOTHROW(domain.link->signal(1, SIGKILL));
  const auto refused = domain.start(2);
  domain.run();
  CHECK(refused->failure == "domain_lost");

  bool lost = false;
  asio::co_spawn(
      domain.loop, domain.link->wait_exit(1),
      [&lost](const std::exception_ptr&, DomainLink::Exit exit) { lost = exit.lost.has_value(); });
  domain.run();
  CHECK(domain.link->is_lost());
  CHECK(lost);
}

TEST_CASE("what an earlier connection started is known once cell-init has greeted") {
  Fixture domain;
  const sys::Fd null = sys::open_file("/dev/null", O_RDONLY);
  const std::array fds = {null.get(), null.get()};
  sys::send_message(domain.init.get(), wire::encode(wire::Kept{7, 20, false, 0}), fds);
  sys::send_message(domain.init.get(), wire::encode(wire::Kept{5, 19, true, 256}), fds);
  sys::send_message(domain.init.get(), wire::encode(wire::InitHello()));
  domain.run();
  const auto kept = domain.link->take_kept();
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].id == 7);
  CHECK(kept[0].pid == 20);
  CHECK(kept[0].fds.size() == 2);
  CHECK(domain.link->take_kept().empty());
  CHECK(domain.link->is_running(7));
  CHECK_FALSE(domain.link->is_running(5));
  CHECK(domain.link->new_id() == 8);
  domain.link->forget(5);
  CHECK(wire::decode_init_request(sys::receive_message(domain.init.get())->bytes) ==
        wire::InitRequest(wire::ForgetRequest{5}));
}

TEST_CASE("a cell-init of another version is not used") {
  Fixture domain;
  std::string reason;
  const auto told = [&reason](const std::exception_ptr& failure) {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const Error& error) {
      reason = error.reason();
    }
  };
  sys::send_message(domain.init.get(), wire::encode(wire::InitHello{1}));
  asio::co_spawn(domain.loop, domain.link->greeted(std::chrono::seconds(10)), told);
  domain.run();
  CHECK(reason == "domain_outdated");
}

}  // namespace cellar::cell
