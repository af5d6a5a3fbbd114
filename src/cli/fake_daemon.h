#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/text.h"
#include "sys/fd.h"

namespace cellar::cli {

// What came to the fake daemon.
struct Seen {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
};

// At the end of an answer: the connection stays open until the client closes it.
inline constexpr std::string_view kStayOpen = "<stays open>";

// For tests: an HTTP server on a free port of the loopback address that answers each request with
// the whole text of a response that `answer` gives, and closes the connection behind it.
class FakeDaemon {
 public:
  using Answer = std::function<std::string(const Seen&)>;

  explicit FakeDaemon(Answer answer) : answer_(std::move(answer)) {
    listener_ = sys::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), any, size) != 0 || ::listen(listener_.get(), 16) != 0 ||
        ::getsockname(listener_.get(), any, &size) != 0) {
      throw std::runtime_error("no listening socket");
    }
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeDaemon() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  const std::string& url() const noexcept { return url_; }
  std::vector<Seen> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void serve() {
    for (;;) {
      const sys::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      const Seen request = read_request(connection.get());
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(request);
      }
      std::string text = answer_(request);
      const bool stays_open = text.ends_with(kStayOpen);
      if (stays_open) text.resize(text.size() - kStayOpen.size());
      for (std::size_t sent = 0; sent < text.size();) {
        const auto n =
            ::send(connection.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
      }
      if (!stays_open) ::shutdown(connection.get(), SHUT_WR);
      std::string rest;
      while (receive(connection.get(), rest)) {
      }
    }
  }

  static bool receive(int socket, std::string& into) {
    char buffer[4096];
    const auto n = ::recv(socket, buffer, sizeof buffer, 0);
    if (n > 0) into.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }

  static std::string without_chunks(std::string_view chunks) {
    std::string body;
    for (;;) {
      const std::size_t line_end = chunks.find("\r\n");
      const auto size = std::stoul(std::string(chunks.substr(0, line_end)), nullptr, 16);
      if (size == 0) return body;
      body += chunks.substr(line_end + 2, size);
      chunks.remove_prefix(line_end + 2 + size + 2);
    }
  }

  static Seen read_request(int socket) {
    std::string text;
    while (text.find("\r\n\r\n") == text.npos && receive(socket, text)) {
    }
    const std::size_t head_end = text.find("\r\n\r\n");
    Seen seen;
    bool is_first = true;
    for (const std::string_view line : split(std::string_view(text).substr(0, head_end), '\n')) {
      if (std::exchange(is_first, false)) {
        const auto words = split(line, ' ');
        seen.method = words.at(0);
        seen.target = words.at(1);
        continue;
      }
      const std::size_t colon = line.find(':');
      seen.headers[to_lower_ascii(line.substr(0, colon))] = trim(line.substr(colon + 1));
    }
    const auto size = static_cast<std::size_t>(
        parse_int(seen.headers.contains("content-length") ? seen.headers["content-length"] : "0")
            .value_or(0));
    seen.body = text.substr(head_end + 4);
    while (seen.body.size() < size && receive(socket, seen.body)) {
    }
    if (seen.headers["transfer-encoding"] == "chunked") {
      while (!seen.body.ends_with("\r\n0\r\n\r\n") && receive(socket, seen.body)) {
      }
      seen.body = without_chunks(seen.body);
    }
    return seen;
  }

  Answer answer_;
  std::string url_;
  sys::Fd listener_;
  std::mutex mutex_;
  std::vector<Seen> seen_;
  std::thread thread_;
};

inline std::string reply(int status, std::string_view type, std::string_view body) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
         std::string(body);
}
inline std::string json_reply(int status, std::string_view body) {
  return reply(status, "application/json", body);
}
// A stream that says how long it is, or one that is cut off in its middle.
inline std::string event_reply(std::string_view events) {
  return reply(200, "text/event-stream; charset=utf-8", events);
}
inline std::string torn_event_reply(std::string_view events) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000000\r\n\r\n" +
         std::string(events);
}

}  // namespace cellar::cli
