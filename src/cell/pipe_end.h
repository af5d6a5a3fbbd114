#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "async/lane.h"
#include "sys/fd.h"
#include "sys/pipe_io.h"

namespace cellar::cell {

namespace asio = boost::asio;

// Our end of what joins a program of a cell with us: of a pipe, or a terminal. Loop thread only.
//
// Whatever O_NONBLOCK says, read, write and close of a pipe wait for who is amidst one of them at
// its other end, and a program can make that take very long. So they are done in a lane of the
// cell: it holds up nobody but itself. Waiting until there is something to do needs none of them.
class PipeEnd {
 public:
  explicit PipeEnd(const asio::any_io_executor& executor) : waiting_(executor) {}
  ~PipeEnd() { close(); }
  PipeEnd(const PipeEnd&) = delete;
  PipeEnd& operator=(const PipeEnd&) = delete;

  // It does not block from then on. Throws Error.
  void open(async::Lane lane, sys::Fd end);
  bool is_open() const noexcept { return static_cast<bool>(end_); }
  // Who waits goes on. The number is free once all that was begun with it has ended.
  void close() noexcept;

  // To be used by jobs of run_in() only, or for what does not wait.
  int number() const noexcept { return end_.get(); }
  template <typename Job>
  auto run_in_lane(Job job) {
    return async::run_in(lane_, std::move(job));
  }

  // False where it was closed meanwhile, or who waits was canceled.
  asio::awaitable<bool> readable();
  asio::awaitable<bool> writable();

  // Waits until there is something. Also `has_ended` where readable() is false. Throws Error
  // `canceled`.
  asio::awaitable<sys::PipeRead> read(std::size_t bytes_max);
  // Writes of `bytes`, from that place on, what is taken now. Throws Error `canceled`.
  asio::awaitable<sys::PipeWrite> write(std::shared_ptr<const std::string> bytes, std::size_t from);

 private:
  asio::awaitable<bool> wait(asio::posix::stream_descriptor::wait_type what);

  async::Lane lane_;
  sys::Fd end_;
  asio::posix::stream_descriptor waiting_;  // has the number, too, but never closes it
};

// Ends that a program is given: ours until it has them, then closed in the lane.
class LentEnds {
 public:
  LentEnds(async::Lane lane, std::vector<sys::Fd> ends)
      : lane_(std::move(lane)), ends_(std::move(ends)) {}
  ~LentEnds();
  LentEnds(const LentEnds&) = delete;
  LentEnds& operator=(const LentEnds&) = delete;

 private:
  async::Lane lane_;
  std::vector<sys::Fd> ends_;
};

}  // namespace cellar::cell
