// A client for many connections at a time, and so light that the server is what is measured.
//
//   http_load requests PORT KEY PATH CONNECTIONS SECONDS
//     GETs on kept connections, the next as soon as one is answered; prints their rate.
//   http_load streams PORT KEY [PATH COUNT]...
//     opens so many streams of each path and prints "open"; at the end of its input it prints how
//     long each event took to each of them. An event says when it was sent: {"t":NANOSECONDS} of
//     the clock CLOCK_MONOTONIC.
//
// It prints JSON objects.

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "sys/fd.h"

namespace cellar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kSentAt = "{\"t\":";
constexpr std::size_t kEventsAtOnce = 512;

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
          .count());
}

std::uint64_t number_in(std::string_view text) {
  const auto number = parse_int(text);
  if (!number || *number < 0) {
    throw Error(ErrorCode::invalid_argument, std::string(text) + " is no number");
  }
  return static_cast<std::uint64_t>(*number);
}

sys::Fd connect_to(std::uint16_t port) {
  sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == -1) {
    throw_errno("connect");
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == -1) throw_errno("fcntl");
  return fd;
}

// Connections that are read as soon as there is something.
class Connections {
 public:
  Connections() : poll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!poll_) throw_errno("epoll_create1");
  }

  std::size_t add(std::uint16_t port) {
    fds_.push_back(connect_to(port));
    watch(fds_.back().get(), fds_.size() - 1);
    return fds_.size() - 1;
  }
  // Something that is no connection: read() is told this `number`.
  void watch(int fd, std::size_t number) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = number}};
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) == -1) throw_errno("epoll_ctl");
  }
  void send(std::size_t number, std::string_view bytes) {
    if (::send(fds_[number].get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(bytes.size())) {
      throw_errno("send");
    }
  }
  // Calls `read` for each connection that has something, with what it has.
  template <typename Read>
  void turn(std::chrono::milliseconds limit, Read read) {
    std::array<epoll_event, kEventsAtOnce> events;
    const int count =
        ::epoll_wait(poll_.get(), events.data(), events.size(), static_cast<int>(limit.count()));
    for (int i = 0; i < count; ++i) {
      const std::size_t number = events[static_cast<std::size_t>(i)].data.u64;
      if (number >= fds_.size()) {
        read(number, {});
        continue;
      }
      const ssize_t size = ::recv(fds_[number].get(), buffer_.data(), buffer_.size(), 0);
      if (size == 0) throw Error(ErrorCode::unavailable, "the server ended a connection");
      if (size > 0) read(number, {buffer_.data(), static_cast<std::size_t>(size)});
    }
  }

 private:
  sys::Fd poll_;
  std::vector<sys::Fd> fds_;
  std::array<char, 64 << 10> buffer_;
};

std::string request_to(std::string_view path, std::string_view key, std::string_view accept) {
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nAccept: {}\r\n\r\n", path,
      key, accept);
}

double part(std::vector<double>& sorted, double which) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(which * static_cast<double>(sorted.size())))];
}

// Whether `answer` is whole: a head with a Content-Length, and its body.
bool is_whole(std::string_view answer) {
  const std::size_t head = answer.find("\r\n\r\n");
  if (head == answer.npos) return false;
  const std::string fields = to_lower_ascii(answer.substr(0, head));
  const std::size_t field = fields.find("content-length: ");
  if (field == fields.npos || !answer.starts_with("HTTP/1.1 200")) {
    throw Error(ErrorCode::internal, "not what was asked for: " + std::string(answer));
  }
  return answer.size() >= head + 4 + std::strtoull(fields.c_str() + field + 16, nullptr, 10);
}

void load(std::uint16_t port, const std::string& request, std::size_t count, double seconds) {
  Connections connections;
  std::vector<std::string> answers(count);
  std::vector<std::uint64_t> asked(count);
  for (std::size_t i = 0; i < count; ++i) {
    asked[connections.add(port)] = now_ns();
    connections.send(i, request);
  }
  const std::uint64_t began = now_ns();
  const auto end = began + static_cast<std::uint64_t>(seconds * 1e9);
  std::vector<double> times;
  while (now_ns() < end) {
    connections.turn(std::chrono::milliseconds(100), [&](std::size_t i, std::string_view bytes) {
      answers[i] += bytes;
      if (!is_whole(answers[i])) return;
      answers[i].clear();
      times.push_back(static_cast<double>(now_ns() - asked[i]) / 1e6);
      asked[i] = now_ns();
      connections.send(i, request);
    });
  }
  const double took = static_cast<double>(now_ns() - began) / 1e9;
  std::sort(times.begin(), times.end());
  fmt::print("{{\"per_second\":{:.0f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f}}}\n",
             static_cast<double>(times.size()) / took, part(times, 0.5), part(times, 0.99));
}

// When each event came to whom.
class Arrivals {
 public:
  explicit Arrivals(std::size_t count) : rests_(count) {}

  void take(std::size_t stream, std::string_view bytes) {
    std::string& rest = rests_[stream];
    const std::uint64_t now = now_ns();
    rest += bytes;
    std::size_t at = 0;
    for (std::size_t end; (end = rest.find("\n\n", at)) != rest.npos; at = end + 2) {
      const std::size_t found = rest.find(kSentAt, at);
      if (found >= end) continue;
      const std::uint64_t sent = std::strtoull(rest.c_str() + found + kSentAt.size(), nullptr, 10);
      times_.push_back(static_cast<double>(now - sent) / 1e6);
      double& last = last_[sent];
      last = std::max(last, times_.back());
    }
    rest.erase(0, at);
  }

  void tell() {
    std::sort(times_.begin(), times_.end());
    std::vector<double> last;
    for (const auto& [sent, time] : last_) last.push_back(time);
    std::sort(last.begin(), last.end());
    fmt::print(
        "{{\"events\":{},\"arrivals\":{},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f},\"max_ms\":{:.3f},"
        "\"last_p50_ms\":{:.3f}}}\n",
        last_.size(), times_.size(), part(times_, 0.5), part(times_, 0.99), part(times_, 1),
        part(last, 0.5));
  }

 private:
  std::vector<std::string> rests_;
  std::vector<double> times_;
  std::map<std::uint64_t, double> last_;  // of each event
};

void watch(std::uint16_t port, std::string_view key,
           const std::vector<std::pair<std::string, std::uint64_t>>& paths) {
  Connections connections;
  std::size_t count = 0;
  std::size_t begun_count = 0;
  for (const auto& [path, streams] : paths) count += streams;
  Arrivals arrivals(count);
  const auto read = [&](std::size_t i, std::string_view bytes) {
    if (bytes.starts_with("HTTP/1.1 200")) ++begun_count;
    arrivals.take(i, bytes);
  };
  for (const auto& [path, streams] : paths) {
    const std::string request = request_to(path, key, "text/event-stream");
    for (std::uint64_t i = 0; i < streams; ++i) {
      connections.send(connections.add(port), request);
      connections.turn(std::chrono::milliseconds(0), read);
    }
  }
  while (begun_count < count) connections.turn(std::chrono::milliseconds(100), read);
  fmt::print("open\n");
  std::fflush(stdout);
  bool over = false;
  connections.watch(STDIN_FILENO, count);
  while (!over) {
    connections.turn(std::chrono::milliseconds(100), [&](std::size_t i, std::string_view bytes) {
      if (i == count) over = true;
      if (i != count) read(i, bytes);
    });
  }
  arrivals.tell();
}

int usage() {
  fmt::print(stderr,
             "http_load requests PORT KEY PATH CONNECTIONS SECONDS\n"
             "http_load streams PORT KEY [PATH COUNT]...\n");
  return 2;
}

void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == -1) throw_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == -1) throw_errno("setrlimit");
}

int run(const std::vector<std::string>& words) {
  allow_many_files();
  const std::string what = words.size() > 2 ? words[0] : "";
  if (what == "requests" && words.size() == 6) {
    load(static_cast<std::uint16_t>(number_in(words[1])), request_to(words[3], words[2], "*/*"),
         number_in(words[4]), static_cast<double>(number_in(words[5])));
    return 0;
  }
  if (what == "streams" && words.size() % 2 == 1) {
    std::vector<std::pair<std::string, std::uint64_t>> paths;
    for (std::size_t i = 3; i + 1 < words.size(); i += 2) {
      paths.emplace_back(words[i], number_in(words[i + 1]));
    }
    watch(static_cast<std::uint16_t>(number_in(words[1])), words[2], paths);
    return 0;
  }
  return usage();
}

}  // namespace
}  // namespace cellar

int main(int argc, char** argv) {
  try {
    return cellar::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const cellar::Error& error) {
    fmt::print(stderr, "http_load: {}\n", error.what());
    return 1;
  }
}
