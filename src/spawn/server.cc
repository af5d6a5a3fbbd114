#include "spawn/server.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "spawn/perform.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/network_namespace.h"
#include "sys/user_namespace.h"

namespace cellar::spawn {
namespace {

constexpr std::uint32_t kIdsPerDomain = 65536;
constexpr std::size_t kReportBytesMax = 4096;
// Above all descriptors that cell-init is given.
constexpr int kAside = 100;

// A new open file for the same bytes: offsets are not shared.
sys::Fd reopen(int fd) { return sys::open_file("/proc/self/fd/" + std::to_string(fd), O_RDONLY); }

}  // namespace

void Server::run() {
  while (const auto message = sys::receive_message(socket_.get())) {
    const Answer reply = answer(*message);
    std::vector<int> fds;
    for (const sys::Fd& fd : reply.fds) fds.push_back(fd.get());
    sys::send_message(socket_.get(), sandbox::encode(reply.message), fds);
  }
}

Server::Answer Server::answer(const sys::Message& message) {
  const auto request = sandbox::decode_spawn_request(message.bytes);
  if (!request) return {sandbox::SpawnFailed{"no such request"}, {}};
  try {
    if (const auto* make_request = std::get_if<sandbox::MakeDomain>(&*request)) {
      return {make(*make_request), {}};
    }
    const auto& listen = std::get<sandbox::ListenIn>(*request);
    if (message.fds.size() != 1) return {sandbox::SpawnFailed{"one namespace is needed"}, {}};
    std::vector<sys::PortSpec> ports;
    for (const auto& port : listen.ports) ports.push_back({port.port, port.udp});
    return {sandbox::Listening(), sys::listen_in(message.fds[0].get(), ports)};
  } catch (const Error& error) {
    return {sandbox::SpawnFailed{error.what()}, {}};
  }
}

sandbox::DomainMade Server::make(const sandbox::MakeDomain& request) {
  const sandbox::Image& image = images_.get(request.spec.image_dir);
  const sys::Fd user = sys::make_user_namespace(request.spec.uid_base, kIdsPerDomain);
  const sys::Fd listener = sys::seqpacket_listen(request.socket_path);
  sys::Pipe report = sys::make_pipe();
  const pid_t pid = sys::fork_into_namespaces();
  if (pid == 0) become_init(request, image, listener.get(), user.get(), report.write_end.get());

  // Empty once cell-init is all in: it closes its end then.
  report.write_end.reset();
  const std::string failure = sys::read_all(report.read_end.get(), kReportBytesMax, "a report");
  if (!failure.empty()) throw Error(ErrorCode::internal, failure);
  return {static_cast<std::uint32_t>(pid)};
}

void Server::become_init(const sandbox::MakeDomain& request, const sandbox::Image& image,
                         int listener, int user, int report) {
  try {
    ::signal(SIGCHLD, SIG_DFL);
    Performer performer(user, request.spec.uid_base);
    sys::Fd filter = reopen(programs_.filter.get());
    performer.perform(sandbox::plan_for(request.spec, image));

    // As init/enter.h names them: 3 listener, 4 user namespace, 5 filter, 6 report.
    std::array<int, 5> given = {listener, user, filter.get(), report, programs_.init.get()};
    for (int& fd : given) {
      fd = ::fcntl(fd, F_DUPFD_CLOEXEC, kAside);
      if (fd == -1) throw_errno("fcntl F_DUPFD_CLOEXEC");
    }
    for (int i = 0; i < 4; ++i) {
      if (::dup2(given[static_cast<std::size_t>(i)], 3 + i) == -1) throw_errno("dup2");
    }
    if (::close_range(7, kAside - 1, 0) == -1) throw_errno("close_range");
    const char* const arguments[] = {"cell-init", "sandboxed", nullptr};
    const char* const environment[] = {nullptr};
    ::fexecve(given[4], const_cast<char* const*>(arguments), const_cast<char* const*>(environment));
    throw_errno("fexecve", "cell-init");
  } catch (const Error& error) {
    // Whichever of the two is left.
    const std::string_view text = error.what();
    if (::write(report, text.data(), text.size()) == -1)
      (void)!::write(6, text.data(), text.size());
    ::_exit(1);
  }
}

}  // namespace cellar::spawn
