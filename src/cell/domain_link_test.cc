#include "cell/domain_link.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
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

}  // namespace cellar::cell
