#include "cell/runsc_report.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/error.h"
#include "sys/file.h"

using namespace cellar;
using namespace cellar::cell;
using std::chrono::milliseconds;

namespace {

// What the wait says; empty: runsc is ready. `meanwhile` is done once it waits.
std::string outcome(sys::Pipe& pipe, milliseconds limit, const std::function<void()>& meanwhile) {
  asio::io_context loop(1);
  std::string said;
  auto done = [&said](const std::exception_ptr& failure) {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const Error& error) {
      said = error.what();
    }
  };
  asio::co_spawn(loop, await_runsc(std::move(pipe.read_end), limit), done);
  loop.poll();
  meanwhile();
  loop.run();
  return said;
}

}  // namespace

TEST_CASE("runsc is ready when all have closed the report, and said nothing") {
  sys::Pipe pipe = sys::make_pipe();
  CHECK(outcome(pipe, milliseconds(10'000), [&] { pipe.write_end.reset(); }).empty());
}

TEST_CASE("what was told on the way is the failure, as much of it as anybody reads") {
  sys::Pipe pipe = sys::make_pipe();
  const auto tell = [&] {
    sys::write_all(pipe.write_end.get(), "no such platform\n", "a report");
    pipe.write_end.reset();
  };
  CHECK(outcome(pipe, milliseconds(10'000), tell) == "no such platform");
  pipe = sys::make_pipe();
  const auto babble = [&] {
    sys::write_all(pipe.write_end.get(), std::string(50'000, 'x'), "a report");
    pipe.write_end.reset();
  };
  CHECK(outcome(pipe, milliseconds(10'000), babble) == std::string(4096, 'x'));
}

TEST_CASE("a runsc that neither ends nor says anything is given up") {
  sys::Pipe pipe = sys::make_pipe();
  CHECK(outcome(pipe, milliseconds(1), [] {}) == "runsc is not ready within 1 ms: ");
}
