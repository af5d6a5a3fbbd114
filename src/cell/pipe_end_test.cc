#include "cell/pipe_end.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <thread>

#include "async/sleep.h"
#include "async/task_group.h"
#include "async/test_run.h"
#include "base/error.h"
#include "sys/splice.h"

namespace cellar::cell {
namespace {

using std::chrono::milliseconds;

// Memory that whoever reads it, the kernel too, waits for until let_go().
class SlowMemory {
 public:
  SlowMemory() : fault_(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC))) {
    memory_ = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    uffdio_register all{.range = range(), .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
    is_there_ = fault_ && ::ioctl(fault_.get(), UFFDIO_API, &api) == 0 &&
                ::ioctl(fault_.get(), UFFDIO_REGISTER, &all) == 0;
  }
  ~SlowMemory() { ::munmap(memory_, kBytes); }
  SlowMemory(const SlowMemory&) = delete;
  SlowMemory& operator=(const SlowMemory&) = delete;

  bool is_there() const noexcept { return is_there_; }  // Not everybody may have such memory.
  void write_to(int fd) const { CHECK(::write(fd, memory_, kBytes) == kBytes); }
  void await_reader() const {
    uffd_msg message{};
    CHECK(::read(fault_.get(), &message, sizeof message) == sizeof message);
  }
  void let_go() const {
    uffdio_zeropage zero{.range = range(), .mode = 0, .zeropage = 0};
    CHECK(::ioctl(fault_.get(), UFFDIO_ZEROPAGE, &zero) == 0);
  }

 private:
  static constexpr ssize_t kBytes = 4096;
  uffdio_range range() const {
    return {.start = reinterpret_cast<std::uint64_t>(memory_), .len = kBytes};
  }

  sys::Fd fault_;
  void* memory_ = nullptr;
  bool is_there_ = false;
};

}  // namespace

TEST_CASE("what was written is read to its end, and input is taken as there is room for it") {
  async::Pool pool(2);
  asio::io_context loop(1);
  auto test = [&]() -> asio::awaitable<void> {
    sys::Pipe pipe = sys::make_pipe();
    PipeEnd reads(loop.get_executor());
    PipeEnd writes(loop.get_executor());
    const async::Lane lane(pool);
    reads.open(lane, std::move(pipe.read_end));
    writes.open(lane, std::move(pipe.write_end));
    const auto many = std::make_shared<const std::string>(std::string(1 << 20, 'x'));
    std::string got;
    std::size_t put = 0;
    while (put < many->size()) {
      CHECK(co_await writes.writable());
      const sys::PipeWrite some = co_await writes.write(many, put);
      put += some.byte_count;
      const sys::PipeRead read = co_await reads.read(1 << 20);
      got += read.bytes;
    }
    CHECK(got == *many);
    writes.close();
    CHECK_FALSE(writes.is_open());
    CHECK((co_await reads.read(1)).has_ended);
  };
  async::run_on(loop, test());
}

TEST_CASE("who waits for something to read goes on where its end is closed") {
  async::Pool pool(1);
  asio::io_context loop(1);
  auto test = [&]() -> asio::awaitable<void> {
    async::TaskGroup tasks(loop.get_executor());
    sys::Pipe pipe = sys::make_pipe();
    PipeEnd end(loop.get_executor());
    end.open(async::Lane(pool), std::move(pipe.read_end));
    bool has_ended = false;
    auto wait = [&]() -> asio::awaitable<void> {
      const sys::PipeRead read = co_await end.read(10);
      has_ended = read.has_ended;
    };
    tasks.spawn(wait());
    co_await async::sleep_for(milliseconds(1));
    end.close();
    co_await tasks.join();
    CHECK(has_ended);
  };
  async::run_on(loop, test());
}

TEST_CASE("a pipe that somebody keeps busy holds up its own cell, and no other, and not the loop") {
  const SlowMemory memory;
  if (!memory.is_there()) return;
  async::Pool pool(2);
  asio::io_context loop(1);
  sys::Pipe pipe = sys::make_splice_pipe(1 << 16).value();
  sys::Pipe free = sys::make_splice_pipe(1 << 16).value();
  sys::write_pipe(pipe.write_end.get(), "begun");
  // It has the pipe's lock from now on.
  std::thread slow([&memory, fd = pipe.write_end.get()] { memory.write_to(fd); });
  memory.await_reader();

  auto test = [&]() -> asio::awaitable<void> {
    async::TaskGroup tasks(loop.get_executor());
    const async::Lane lane(pool);
    PipeEnd held(loop.get_executor());
    PipeEnd other(loop.get_executor());
    held.open(lane, std::move(pipe.read_end));
    other.open(async::Lane(pool), std::move(free.read_end));
    bool was_read = false;
    auto read = [&]() -> asio::awaitable<void> {
      co_await held.read(100);
      was_read = true;
    };
    tasks.spawn(read());
    for (int i = 0; i < 3; ++i) {
      sys::write_pipe(free.write_end.get(), "other");
      const sys::PipeRead got = co_await other.read(100);
      CHECK(got.bytes == "other");
    }
    co_await tasks.close();
    held.close();
    CHECK_FALSE(was_read);
    CHECK(lane.posted_count() == 1);
    memory.let_go();
    auto nothing = [] {};
    co_await async::run_in(lane, nothing);
    CHECK(lane.posted_count() == 0);
  };
  async::run_on(loop, test());
  slow.join();
}

}  // namespace cellar::cell
