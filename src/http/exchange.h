#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace cellar::http {

namespace asio = boost::asio;

// Why an answer, or more of a stream, is refused.
inline constexpr std::string_view kAnswersFull = "answers_full";

// A connection after an upgrade: bytes both ways, with no HTTP in between. One reader and one
// writer at a time. What fails throws Error `canceled`: the other side is gone.
class RawConnection {
 public:
  virtual ~RawConnection() = default;

  // The next bytes; empty at the end of what the client sends. Waits for ever: whoever has a limit
  // calls close().
  virtual asio::awaitable<std::string> read() = 0;
  // Waits until the client has taken them, at most a fixed time.
  virtual asio::awaitable<void> write(std::string bytes) = 0;
  // Nothing more is written; the client may still send. A client of TLS learns it when the
  // connection is closed.
  virtual void end_writing() = 0;
  // Ends a read and a write that wait.
  virtual void close() = 0;
};

// A WebSocket (RFC 6455). One reader and one writer at a time. Pings are sent and answered while
// somebody reads. What fails throws Error `canceled`: the other side is gone.
class WebSocket {
 public:
  // Of one message; a longer one ends the connection.
  static constexpr std::size_t kMessageBytesMax = 1 << 20;

  virtual ~WebSocket() = default;

  struct Message {
    bool is_text = false;
    std::string bytes;
  };
  // The next one; nullopt once the client has closed it.
  virtual asio::awaitable<std::optional<Message>> read() = 0;
  // Waits until the client has taken it, at most a fixed time.
  virtual asio::awaitable<void> send(Message message) = 0;
  // Says good-bye; a read() that waits gets the answer to it.
  virtual asio::awaitable<void> close() = 0;
};

// The head of an answer that somebody else made, to be passed on as it is.
struct ForeignHead {
  int status = 200;
  std::string reason;                   // "OK"; empty: the usual one
  Fields fields;                        // no Connection, Content-Length or Transfer-Encoding
  std::optional<std::uint64_t> length;  // nullopt: nobody knows it
};

// One request and its answer: either respond() once, or start_stream() or start_foreign(), send()
// as often as wanted and finish(); or upgrade(), or accept_web_socket(). Loop thread only. When the
// client goes away the handler is canceled: its next wait throws.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;
  // Whether there is a body to read (its size may be unknown).
  virtual bool has_body() const = 0;
  // The whole body. Throws Error `too_large`, reason `body_too_large`, above `bytes_max`, before it
  // reads what is announced to be larger; `invalid_argument` where the client ends it early;
  // `unavailable`, reason `bodies_full`, for more than 64 KiB that have no room beside the bodies
  // of all other requests.
  virtual asio::awaitable<std::string> read_body(std::size_t bytes_max) = 0;
  // What read_body() gave takes no memory any more: others' bodies have that room from here on, and
  // not only once this exchange is gone.
  virtual void forget_body() noexcept = 0;

  // The header fields as they were sent.
  virtual Fields fields() const = 0;
  // The next bytes of the body as they come, without what chunks them; empty at its end. Instead of
  // read_body(). Throws Error `invalid_argument` where the client ends it early, or sends nothing
  // for a fixed time.
  virtual asio::awaitable<std::string> read_piece() = 0;
  // The client's address: "127.0.0.1".
  virtual std::string client_address() const = 0;
  // Whether it has reset the connection: nobody is there for an answer.
  virtual bool is_client_gone() const = 0;
  // Whether it came by TLS, which ended here.
  virtual bool is_encrypted() const = 0;

  // Throws Error `exhausted`, reason kAnswersFull, at the call, for more than 64 KiB that have no
  // room beside what other clients have not taken yet (ServerOptions).
  virtual asio::awaitable<void> respond(Response response) = 0;

  // Begins an answer as it is: with its length, or else piece by piece. send() must send as many
  // bytes as it says, none where such an answer has no body (to HEAD; 204, 304).
  virtual asio::awaitable<void> start_foreign(ForeignHead head) = 0;

  // Answers 101 with these fields, and hands the connection over: it is closed when the handler
  // ends. The handler is not canceled any more when the client ends what it sends.
  virtual asio::awaitable<std::unique_ptr<RawConnection>> upgrade(Fields fields) = 0;

  // Whether the client asks for a WebSocket.
  virtual bool wants_web_socket() const = 0;
  // The same as upgrade(), where it does. `protocol` is the subprotocol that is answered; empty:
  // none.
  virtual asio::awaitable<std::unique_ptr<WebSocket>> accept_web_socket(std::string protocol) = 0;

  // Begins an answer whose length nobody knows. `response.body` is sent at once.
  virtual asio::awaitable<void> start_stream(Response response) = 0;
  // Waits until the client has taken it, at most a fixed time: a client that reads nothing is cut
  // off. Throws Error `canceled` then, and kAnswersFull as respond() does.
  virtual asio::awaitable<void> send(std::string bytes) = 0;
  virtual asio::awaitable<void> finish() = 0;

  // Whether an answer has begun: an error can only be told in a stream's own words then.
  virtual bool has_answered() const = 0;
};

}  // namespace cellar::http
