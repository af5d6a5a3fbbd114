#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::cli {

struct Request {
  std::string method = "GET";
  std::string path;                  // "/api/v1/cells?limit=1", encoded
  std::vector<std::string> headers;  // "Name: value"
  std::optional<std::string> body;
  std::string body_file;                     // a local file to send as the body; empty: none
  std::function<std::string()> body_source;  // the next bytes of a body of any size; empty: the end
  std::chrono::milliseconds idle_max{0};     // 0: none. Ends a stream where nothing comes so long.
};

struct Response {
  long status = 0;
  std::string content_type;  // without parameters, lower case
  std::string body;          // empty where it was streamed
  std::string run_id;        // of the run whose answer it is
  std::string cell_id;       // of the cell that was asked, in an answer that is thrown
  std::string moved_to;      // the daemon's address as a redirect has it
  bool is_idle = false;      // it was ended by `idle_max`
  bool is_success() const noexcept { return status >= 200 && status < 300; }
};

enum class Flow : std::uint8_t { go_on, stop };

// HTTP to one daemon, over one connection that is kept. The home of libcurl.
//
// Throws Error `unavailable`, reason `daemon_unreachable`, where there is no connection, and
// `connection_lost` where it ended too early; `invalid_argument`, reason `invalid_url`. A status is
// no error here: see Api. Redirects are not followed. Blocking, not thread-safe but for end().
class Client {
 public:
  static constexpr std::size_t kBodyBytesMax = 512 << 20;

  // `url` is the daemon's, with or without a final slash; without a scheme it is http. `api_key`
  // may be empty.
  Client(std::string url, const std::string& api_key);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Gets the whole answer. Throws `too_large` above kBodyBytesMax.
  Response send(const Request& request);

  // Hands the body of a success over as it comes, until `on_bytes` says stop; the answer's `body`
  // holds that of a failure only. Exceptions of `on_bytes` reach the caller.
  using OnBytes = std::function<Flow(const Response& head, std::string_view bytes)>;
  Response stream(const Request& request, const OnBytes& on_bytes);

  // Any thread: a stream that goes on is ended as an idle one, and so is every later one.
  void end() noexcept;
  bool has_ended() const noexcept { return ended_; }

  const std::string& url() const noexcept { return url_; }

 private:
  struct Handles;
  struct Transfer;

  std::string url_;
  std::string authorization_;
  std::atomic<bool> ended_ = false;
  std::unique_ptr<Handles> handles_;
};

}  // namespace cellar::cli
