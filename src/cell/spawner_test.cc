#include "cell/spawner.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "base/text.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

// A spawner that answers as told, with a descriptor that is readable or never will be.
constexpr const char* kSpawner = R"(#!/usr/bin/env python3
import socket
daemon = socket.socket(fileno=3)
never, other = socket.socketpair()
for is_gone, answer in {}:
    daemon.recv(65536)
    with open("/dev/null") as gone:
        sent = gone if is_gone else never
        socket.send_fds(daemon, [bytes.fromhex(answer)], [sent.fileno()])
daemon.recv(65536)
)";

std::string answer_of(const char* is_gone, const sandbox::SpawnAnswer& answer) {
  std::string text = fmt::format("({}, \"", is_gone);
  for (const char byte : sandbox::encode(answer)) {
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return text + "\"), ";
}

struct Outcome {
  std::uint32_t pid = 0;
  std::string failure;
  std::string remediation;
};

asio::awaitable<void> make_a_domain(Spawner& spawner, Outcome& outcome) {
  sandbox::DomainSpec spec;
  try {
    const sandbox::DomainMade made = co_await spawner.make_domain(std::move(spec), "/s", "");
    outcome.pid = made.pid;
  } catch (const Error& error) {
    outcome.failure = error.what();
    outcome.remediation = error.remediation();
  }
  co_await spawner.close();
}

Outcome outcome_of(const std::string& answers, std::chrono::milliseconds limit) {
  const testing::TempDir folder;
  sys::replace_file(folder.file("cellar-spawn"), fmt::format(kSpawner, "[" + answers + "]"), 0755,
                    sys::Durable::no);
  asio::io_context loop(1);
  Outcome outcome;
  Spawner spawner(loop.get_executor(), {.libexec = folder.path(), .mounts_limit = limit});
  asio::co_spawn(loop, make_a_domain(spawner, outcome), [](const std::exception_ptr&) {});
  loop.run();
  return outcome;
}

}  // namespace

TEST_CASE("a domain is made when what its cell's last one had mounted is gone") {
  const Outcome outcome = outcome_of(answer_of("True", sandbox::MountsStay()) +
                                         answer_of("True", sandbox::MountsStay()) +
                                         answer_of("True", sandbox::DomainMade{7, "slot"}),
                                     std::chrono::milliseconds(30'000));
  CHECK(outcome.failure.empty());
  CHECK(outcome.pid == 7);
}

TEST_CASE(
    "a domain whose cell's last mounts stay is not made after the limit, and it is said why") {
  const Outcome outcome =
      outcome_of(answer_of("False", sandbox::MountsStay()), std::chrono::milliseconds(30));
  CHECK(outcome.failure.find("still there after 30 ms") != std::string::npos);
  CHECK(outcome.remediation.starts_with("try again"));
}

}  // namespace cellar::cell
