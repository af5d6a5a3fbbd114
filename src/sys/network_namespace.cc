#include "sys/network_namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/error.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

// One of them may take what all programs of a cell begin at once (sys/catch_all.h); what finds no
// room is lost for a second or more.
constexpr int kListenBacklog = 1024;

void bring_up_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throw_errno("socket");
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) == -1) throw_errno("ioctl SIOCGIFFLAGS");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) == -1) throw_errno("ioctl SIOCSIFFLAGS");
}

// "ip route add local default dev lo", as rtnetlink says it.
void add_local_default(int netlink, unsigned char family) {
  struct {
    nlmsghdr head;
    rtmsg route;
    rtattr attribute;
    std::uint32_t interface;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_NEWROUTE;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK;
  request.route.rtm_family = family;
  request.route.rtm_table = RT_TABLE_LOCAL;
  request.route.rtm_protocol = RTPROT_BOOT;
  request.route.rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  request.route.rtm_type = RTN_LOCAL;
  request.attribute.rta_type = RTA_OIF;
  request.attribute.rta_len = RTA_LENGTH(sizeof request.interface);
  request.interface = ::if_nametoindex("lo");

  if (::send(netlink, &request, sizeof request, 0) == -1) throw_errno("netlink send");
  std::array<char, 1024> answer{};
  const ssize_t size = ::recv(netlink, answer.data(), answer.size(), 0);
  if (size == -1) throw_errno("netlink receive");
  nlmsghdr head{};
  nlmsgerr result{};
  CELLAR_CHECK(static_cast<std::size_t>(size) >= NLMSG_LENGTH(sizeof result));
  std::memcpy(&head, answer.data(), sizeof head);
  std::memcpy(&result, answer.data() + NLMSG_HDRLEN, sizeof result);
  if (head.nlmsg_type != NLMSG_ERROR || result.error != 0) {
    // A kernel without IPv6 has no such family.
    if (family == AF_INET6) return;
    throw_errno_value(-result.error, "netlink route", "local default dev lo");
  }
}

// One socket for both families; a kernel without IPv6 has IPv4 only.
Fd open_socket(int type) {
  Fd both(::socket(AF_INET6, type, 0));
  if (both) {
    const int off = 0;
    if (::setsockopt(both.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == -1) {
      throw_errno("setsockopt IPV6_V6ONLY");
    }
    return both;
  }
  if (errno != EAFNOSUPPORT) throw_errno("socket");
  Fd only_v4(::socket(AF_INET, type, 0));
  if (!only_v4) throw_errno("socket");
  return only_v4;
}

bool bind_to_all(int socket, std::uint16_t port) {
  int family = 0;
  socklen_t size = sizeof family;
  if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) == -1) return false;
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Fd bind_socket(const PortSpec& spec) {
  Fd socket = open_socket((spec.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const std::string subject = "port " + std::to_string(spec.port) + " in a cell";
  if (!bind_to_all(socket.get(), spec.port)) throw_errno("bind", subject);
  if (!spec.udp && ::listen(socket.get(), kListenBacklog) == -1) throw_errno("listen", subject);
  return socket;
}

// Goes back when it goes out of scope; a thread that cannot is of no use to anybody.
class InNamespace {
 public:
  explicit InNamespace(int network_namespace) : own_(open_file("/proc/self/ns/net", O_RDONLY)) {
    if (::setns(network_namespace, CLONE_NEWNET) == -1) throw_errno("setns", "network namespace");
  }
  ~InNamespace() { CELLAR_CHECK(::setns(own_.get(), CLONE_NEWNET) == 0); }
  InNamespace(const InNamespace&) = delete;
  InNamespace& operator=(const InNamespace&) = delete;

 private:
  Fd own_;
};

}  // namespace

std::optional<Fd> open_network_of(const ProcessId& process) {
  auto opened = open_file_if_exists("/proc/" + std::to_string(process.pid) + "/ns/net", O_RDONLY);
  // Whoever has the number after it was opened had it before.
  if (!opened || identify(process.pid) != process) return std::nullopt;
  return opened;
}

void make_every_address_local() {
  bring_up_loopback();
  const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink) throw_errno("socket", "netlink");
  add_local_default(netlink.get(), AF_INET);
  add_local_default(netlink.get(), AF_INET6);
  write_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

std::vector<Fd> listen_in(int network_namespace, std::span<const PortSpec> ports) {
  const InNamespace inside(network_namespace);
  std::vector<Fd> sockets;
  for (const PortSpec& spec : ports) sockets.push_back(bind_socket(spec));
  return sockets;
}

Fd socket_in(int network_namespace, SocketKind kind) {
  const InNamespace inside(network_namespace);
  const int family = kind == SocketKind::tcp_v4   ? AF_INET
                     : kind == SocketKind::tcp_v6 ? AF_INET6
                                                  : AF_NETLINK;
  const bool is_tcp = kind != SocketKind::diagnostics;
  const int type = is_tcp ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_RAW;
  Fd socket(::socket(family, type | SOCK_CLOEXEC, is_tcp ? 0 : NETLINK_SOCK_DIAG));
  if (!socket) throw_errno("socket", "in a cell");
  return socket;
}

}  // namespace cellar::sys
