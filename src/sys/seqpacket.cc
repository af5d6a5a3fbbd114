#include "sys/seqpacket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "sys/call.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

Fd new_socket(int type) {
  const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd == -1) throw_errno("socket AF_UNIX");
  return Fd(fd);
}

// An address that reaches a path of any length: through the descriptor of its folder.
struct Address {
  Fd folder;
  sockaddr_un name{};
};

Address address_of(const std::string& path) {
  const std::filesystem::path whole(path);
  Address address{.folder = open_file(whole.parent_path().string(), O_PATH | O_DIRECTORY)};
  address.name.sun_family = AF_UNIX;
  const std::string shorter =
      "/proc/self/fd/" + std::to_string(address.folder.get()) + "/" + whole.filename().string();
  if (shorter.size() >= sizeof address.name.sun_path) {
    throw Error(ErrorCode::invalid_argument, "socket name too long: " + path);
  }
  std::memcpy(address.name.sun_path, shorter.c_str(), shorter.size() + 1);
  return address;
}

void bind_at(int socket, const std::string& path) {
  remove_file(path);
  const Address address = address_of(path);
  const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
  const mode_t before = ::umask(0177);
  const int bound = ::bind(socket, name, sizeof address.name);
  ::umask(before);
  if (bound == -1) throw_errno("bind", path);
}

Fd connected_socket(const std::string& path, int type) {
  Fd socket = new_socket(type);
  const Address address = address_of(path);
  const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
  if (retry_on_signal([&] { return ::connect(socket.get(), name, sizeof address.name); }) == -1) {
    throw_errno("connect", path);
  }
  return socket;
}

}  // namespace

std::pair<Fd, Fd> seqpacket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1) {
    throw_errno("socketpair");
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

Fd seqpacket_listen(const std::string& path) {
  Fd socket = seqpacket_socket();
  seqpacket_listen(socket.get(), path);
  return socket;
}

Fd seqpacket_socket() { return new_socket(SOCK_SEQPACKET); }

void seqpacket_listen(int socket, const std::string& path) {
  // Nobody can connect before listen(), so there is no moment at which the mode is too wide.
  bind_at(socket, path);
  constexpr int kBacklog = 8;
  if (::listen(socket, kBacklog) == -1) throw_errno("listen", path);
}

Fd seqpacket_connect(const std::string& path) { return connected_socket(path, SOCK_SEQPACKET); }

Fd rendezvous_listen(const std::string& path) {
  Fd socket = new_socket(SOCK_DGRAM);
  bind_at(socket.get(), path);
  return socket;
}

Fd rendezvous_connect(const std::string& path) {
  const Fd socket = connected_socket(path, SOCK_DGRAM);
  auto [ours, theirs] = seqpacket_pair();
  const std::array<int, 1> given = {theirs.get()};
  if (!send_message(socket.get(), "c", given, Wait::no)) {
    throw Error(ErrorCode::unavailable, "nobody takes connections at " + path);
  }
  return std::move(ours);
}

Fd rendezvous_accept(int socket) {
  auto message = receive_message(socket, Wait::no);
  return message && message->fds.size() == 1 ? std::move(message->fds[0]) : Fd();
}

bool send_message(int socket, std::string_view bytes, std::span<const int> fds, Wait wait) {
  if (bytes.size() > kMessageBytesMax || fds.size() > kMessageFdsMax) {
    throw Error(ErrorCode::too_large, "message_too_large",
                "a message of " + std::to_string(bytes.size()) + " bytes is above the limit of " +
                    std::to_string(kMessageBytesMax));
  }
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMessageFdsMax * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  const int flags = MSG_NOSIGNAL | (wait == Wait::no ? MSG_DONTWAIT : 0);
  if (retry_on_signal([&] { return ::sendmsg(socket, &message, flags); }) != -1) return true;
  if (errno == EAGAIN && wait == Wait::no) return false;
  throw_errno("sendmsg");
}

std::optional<Message> receive_message(int socket, Wait wait, bool* would_block) {
  if (would_block != nullptr) *would_block = false;
  const int waits = wait == Wait::no ? MSG_DONTWAIT : 0;
  // Says that nothing came; throws what else the call says.
  const auto nothing = [&] {
    if (errno == EAGAIN && would_block != nullptr) *would_block = true;
    if (errno != EAGAIN && errno != ECONNRESET) throw_errno("recvmsg");
    return std::nullopt;
  };
  // Room for the largest message would cost more to clear than a look at the size of this one.
  const ssize_t next =
      retry_on_signal([&] { return ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC | waits); });
  if (next == -1) return nothing();
  Message message;
  message.bytes.resize(std::min<std::size_t>(next, kMessageBytesMax));
  iovec part{message.bytes.data(), message.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMessageFdsMax * sizeof(int))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t size =
      retry_on_signal([&] { return ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | waits); });
  if (size == -1) return nothing();
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof(int));
      message.fds.emplace_back(fd);
    }
  }
  if (size == 0) return std::nullopt;
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    throw Error(ErrorCode::too_large, "a message above the limit came in");
  }
  message.bytes.resize(static_cast<std::size_t>(size));
  return message;
}

bool has_hung_up(int socket) {
  pollfd state{socket, 0, 0};  // A hang-up is told unasked.
  if (retry_on_signal([&] { return ::poll(&state, 1, 0); }) == -1) throw_errno("poll", "a socket");
  return (state.revents & POLLHUP) != 0;
}

}  // namespace cellar::sys
