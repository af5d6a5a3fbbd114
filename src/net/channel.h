#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace cellar::net {

namespace asio = boost::asio;

// A connection that HTTP is spoken over, in clear or by TLS. One read and one write may wait at a
// time. Every failure throws boost::system::system_error. Loop thread only.
class Channel {
 public:
  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // 0: the peer has said that nothing more comes. A TLS stream that only breaks off is a failure.
  virtual asio::awaitable<std::size_t> read(std::span<char> into) = 0;
  // `bytes` must be there until it returns.
  virtual asio::awaitable<void> write(std::string_view bytes) = 0;
  // Says that nothing more comes, and waits a moment for the peer to do the same.
  virtual asio::awaitable<void> end() = 0;
  // Closes at once.
  virtual void reset() noexcept = 0;
  // Whether the peer has neither sent anything that waits to be read nor ended.
  virtual bool is_quiet() = 0;

 protected:
  Channel() = default;
};

// The connection as it is; what was read of it before is read again first.
std::unique_ptr<Channel> plain_channel(asio::ip::tcp::socket socket, std::string already_read = {});

}  // namespace cellar::net
