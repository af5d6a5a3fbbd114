#include "net/channel.h"

#include <boost/asio/write.hpp>

#include "net/stream.h"

namespace cellar::net {
namespace {

class PlainChannel : public Channel {
 public:
  PlainChannel(Tcp::socket socket, std::string already_read)
      : socket_(std::move(socket)), already_read_(std::move(already_read)) {}

  asio::awaitable<std::size_t> read(std::span<char> into) override {
    if (!already_read_.empty()) {
      const std::size_t size = already_read_.copy(into.data(), into.size());
      already_read_.erase(0, size);
      co_return size;
    }
    const auto [error, size] =
        co_await socket_.async_read_some(asio::buffer(into.data(), into.size()), kAsTuple);
    if (error && error != asio::error::eof) throw boost::system::system_error(error);
    co_return size;
  }

  asio::awaitable<void> write(std::string_view bytes) override {
    co_await asio::async_write(socket_, asio::buffer(bytes), asio::use_awaitable);
  }

  asio::awaitable<void> end() override { co_await close_with(socket_, ""); }

  void reset() noexcept override { net::reset(socket_); }

  bool is_quiet() override { return already_read_.empty() && net::is_quiet(socket_); }

 private:
  Tcp::socket socket_;
  std::string already_read_;
};

}  // namespace

std::unique_ptr<Channel> plain_channel(Tcp::socket socket, std::string already_read) {
  return std::make_unique<PlainChannel>(std::move(socket), std::move(already_read));
}

}  // namespace cellar::net
