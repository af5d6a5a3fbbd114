#include "cell/pipe_end.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace cellar::cell {

void PipeEnd::open(async::Lane lane, sys::Fd end) {
  close();
  sys::set_nonblocking(end.get());
  waiting_.assign(end.get());
  lane_ = std::move(lane);
  end_ = std::move(end);
}

void PipeEnd::close() noexcept {
  if (!end_) return;
  waiting_.release();
  lane_.post([end = std::move(end_)]() mutable { end.reset(); });
}

asio::awaitable<bool> PipeEnd::wait(asio::posix::stream_descriptor::wait_type what) {
  const auto [error] = co_await waiting_.async_wait(what, asio::as_tuple(asio::use_awaitable));
  co_return !error;
}

asio::awaitable<bool> PipeEnd::readable() {
  return wait(asio::posix::stream_descriptor::wait_read);
}

asio::awaitable<bool> PipeEnd::writable() {
  return wait(asio::posix::stream_descriptor::wait_write);
}

asio::awaitable<sys::PipeRead> PipeEnd::read(std::size_t bytes_max) {
  sys::PipeRead read;
  while (read.bytes.empty() && !read.has_ended) {
    const bool has_some = co_await readable();
    read.has_ended = !has_some || !is_open() || sys::is_empty_for_good(number());
    if (read.has_ended) break;
    auto take = [fd = number(), bytes_max] { return sys::read_pipe(fd, bytes_max); };
    read = co_await run_in_lane(std::move(take));
  }
  co_return read;
}

asio::awaitable<sys::PipeWrite> PipeEnd::write(std::shared_ptr<const std::string> bytes,
                                               std::size_t from) {
  auto put = [fd = number(), bytes = std::move(bytes), from] {
    return sys::write_pipe(fd, std::string_view(*bytes).substr(from));
  };
  co_return co_await run_in_lane(std::move(put));
}

LentEnds::~LentEnds() {
  lane_.post([ends = std::move(ends_)]() mutable { ends.clear(); });
}

}  // namespace cellar::cell
