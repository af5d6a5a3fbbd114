#include "sys/listening_ports.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kAnswerBytesMax = 32 << 10;

void ask(int socket, std::uint8_t family) {
  struct {
    nlmsghdr head;
    inet_diag_req_v2 request;
  } message{};
  message.head.nlmsg_len = sizeof message;
  message.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = family;
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = 1U << TCP_LISTEN;
  if (::send(socket, &message, sizeof message, 0) == -1) throw_errno("send", "sock_diag");
}

ListeningPort port_of(const inet_diag_msg& said) {
  ListeningPort port;
  port.port = ntohs(said.id.idiag_sport);
  port.is_v6 = said.idiag_family == AF_INET6;
  std::memcpy(port.address.data(), said.id.idiag_src, port.is_v6 ? 16 : 4);
  port.uid = said.idiag_uid;
  return port;
}

// Takes one answer's messages; true where they were the last.
bool take(const std::string& answer, std::size_t size, ListeningPorts& found) {
  for (std::size_t at = 0; at + sizeof(nlmsghdr) <= size;) {
    nlmsghdr head{};
    std::memcpy(&head, answer.data() + at, sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > size - at) break;
    if (head.nlmsg_type == NLMSG_DONE) return true;
    if (head.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr failure{};
      std::memcpy(&failure, answer.data() + at + NLMSG_HDRLEN, sizeof failure);
      if (failure.error == -ENOENT) return true;  // A kernel without this family.
      throw_errno_value(-failure.error, "sock_diag");
    }
    if (head.nlmsg_len >= NLMSG_LENGTH(sizeof(inet_diag_msg))) {
      inet_diag_msg said{};
      std::memcpy(&said, answer.data() + at + NLMSG_HDRLEN, sizeof said);
      found.list.push_back(port_of(said));
    }
    at += NLMSG_ALIGN(head.nlmsg_len);
  }
  return false;
}

}  // namespace

ListeningPorts listening_ports(int socket) {
  ListeningPorts found;
  std::string answer(kAnswerBytesMax, '\0');
  for (const int family : {AF_INET, AF_INET6}) {
    ask(socket, static_cast<std::uint8_t>(family));
    for (bool is_last = false; !is_last;) {
      const ssize_t size =
          retry_on_signal([&] { return ::recv(socket, answer.data(), answer.size(), 0); });
      if (size <= 0) throw_errno("receive", "sock_diag");
      is_last = take(answer, static_cast<std::size_t>(size), found);
      if (found.list.size() > ListeningPorts::kCountMax) {
        found.list.resize(ListeningPorts::kCountMax);
        found.is_whole = false;
        return found;
      }
    }
  }
  return found;
}

}  // namespace cellar::sys
