#include "cell/spawner.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include "async/task_group.h"
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
    number = daemon.recv(65536)[:4]
    with open("/dev/null") as gone:
        sent = gone if is_gone else never
        socket.send_fds(daemon, [number + bytes.fromhex(answer)], [sent.fileno()])
daemon.recv(65536)
)";

// One that waits for as many requests as it has answers, gives the last one its answer first, and
// ends at the next request.
constexpr const char* kBackwards = R"(#!/usr/bin/env python3
import socket
daemon = socket.socket(fileno=3)
answers = [(daemon.recv(65536)[:4], answer) for _, answer in {}]
for number, answer in reversed(answers):
    with open("/dev/null") as sent:
        socket.send_fds(daemon, [number + bytes.fromhex(answer)], [sent.fileno()])
daemon.recv(65536)
)";

std::string answer_of(const char* is_gone, const sandbox::SpawnAnswer& answer) {
  std::string text = fmt::format("({}, \"", is_gone);
  for (const char byte : sandbox::encode(0, answer).substr(sizeof(std::uint32_t))) {
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
    const Spawner::Domain made = co_await spawner.make_domain(std::move(spec), "/s", "");
    outcome.pid = made.pid;
  } catch (const Error& error) {
    outcome.failure = error.what();
    outcome.remediation = error.remediation();
  }
}

// All at once.
asio::awaitable<void> make_domains(Spawner& spawner, std::vector<Outcome>& outcomes) {
  async::TaskGroup tasks(co_await asio::this_coro::executor);
  for (Outcome& outcome : outcomes) tasks.spawn(make_a_domain(spawner, outcome));
  co_await tasks.join();
  co_await spawner.close();
}

std::vector<Outcome> outcomes_of(const char* program, const std::string& answers, std::size_t count,
                                 std::chrono::milliseconds limit) {
  const testing::TempDir folder;
  sys::replace_file(folder.file("cellar-spawn"),
                    fmt::format(fmt::runtime(program), "[" + answers + "]"), 0755,
                    sys::Durable::no);
  asio::io_context loop(1);
  std::vector<Outcome> outcomes(count);
  Spawner spawner(loop.get_executor(), {.libexec = folder.path(), .mounts_limit = limit});
  asio::co_spawn(loop, make_domains(spawner, outcomes), [](const std::exception_ptr&) {});
  loop.run();
  return outcomes;
}

Outcome outcome_of(const std::string& answers, std::chrono::milliseconds limit) {
  return outcomes_of(kSpawner, answers, 1, limit).front();
}

constexpr std::chrono::milliseconds kLong{30'000};

}  // namespace

TEST_CASE("a domain is made when what its cell's last one had mounted is gone") {
  const Outcome outcome = outcome_of(answer_of("True", sandbox::MountsStay()) +
                                         answer_of("True", sandbox::MountsStay()) +
                                         answer_of("True", sandbox::DomainMade{7, "slot"}),
                                     kLong);
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

TEST_CASE("an answer reaches who asked for it, in whatever order answers come") {
  std::string answers;
  for (std::uint32_t pid = 1; pid <= 3; ++pid) {
    answers += answer_of("True", sandbox::DomainMade{pid, "slot"});
  }
  const std::vector<Outcome> outcomes = outcomes_of(kBackwards, answers, 3, kLong);
  for (std::uint32_t pid = 1; pid <= 3; ++pid) {
    CHECK(outcomes[pid - 1].failure.empty());
    CHECK(outcomes[pid - 1].pid == pid);
  }
}

TEST_CASE("all who wait are told that the spawner has ended") {
  for (const Outcome& outcome : outcomes_of(kBackwards, "", 3, kLong)) {
    CHECK(outcome.failure == "cellar-spawn has ended");
  }
}

}  // namespace cellar::cell
