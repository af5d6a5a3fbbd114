#include "cell/runsc_report.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kReportBytesMax = 4096;

}  // namespace

asio::awaitable<void> await_runsc(sys::Fd report, std::chrono::milliseconds limit) {
  const auto executor = co_await asio::this_coro::executor;
  sys::set_nonblocking(report.get());
  // Shared with the timer's handler, which may run after this coroutine.
  const auto source = std::make_shared<asio::posix::stream_descriptor>(executor, report.release());
  asio::steady_timer timer(executor, limit);
  timer.async_wait([source](const boost::system::error_code& error) {
    if (!error) source->close();
  });
  std::string text;
  for (;;) {
    std::array<char, kReportBytesMax> buffer{};
    const auto [error, size] =
        co_await source->async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    const std::size_t room = kReportBytesMax - text.size();
    text.append(buffer.data(), std::min(size, room));
    if (error == asio::error::eof) break;
    if (!source->is_open()) {
      throw Error(ErrorCode::unavailable,
                  "runsc is not ready within " + std::to_string(limit.count()) + " ms: " + text);
    }
    if (error) throw Error(ErrorCode::canceled, "canceled while runsc starts");
  }
  if (!text.empty()) throw Error(ErrorCode::internal, std::string(trim(text)));
}

}  // namespace cellar::cell
