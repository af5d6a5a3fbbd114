#include "spawn/server.h"

#include <poll.h>

#include <algorithm>

#include "base/error.h"
#include "spawn/personal.h"
#include "sys/call.h"
#include "sys/catch_all.h"
#include "sys/network_namespace.h"
#include "sys/user_namespace.h"

namespace cellar::spawn {
namespace {

// Preparing takes a processor from the cell that was just made, and letting go of an old one from
// who waits for its end: both wait until it is quiet.
constexpr int kQuietMs = 20;
// Where few cells are prepared, whoever asks next would wait longer than this takes from the last.
constexpr int kShortQuietMs = 2;

}  // namespace

void Server::run() {
  for (;;) {
    switch (wait()) {
      case Event::quiet:
        all_done_ = !use_quiet_moment();
        break;
      case Event::blank:
        pool_.check_blanks();
        break;
      case Event::domain_end:
        held_.note_ended();
        all_done_ = false;
        break;
      case Event::request: {
        const auto message = sys::receive_message(socket_.get());
        if (!message) return;
        was_asked_ = true;
        const Answer reply = answer(*message);
        std::vector<int> fds;
        for (const sys::Fd& fd : reply.fds) fds.push_back(fd.get());
        sys::send_message(socket_.get(), sandbox::encode(reply.message), fds);
        all_done_ = false;
      }
    }
  }
}

Server::Event Server::wait() {
  std::vector<pollfd> waits = {{socket_.get(), POLLIN, 0}};
  for (const int socket : pool_.sockets()) waits.push_back({socket, POLLIN, 0});
  const std::size_t blanks_end = waits.size();
  for (const int process : held_.descriptors()) waits.push_back({process, POLLIN, 0});
  const int timeout = all_done_ ? -1 : quiet_ms();
  const int ready =
      sys::retry_on_signal([&] { return ::poll(waits.data(), waits.size(), timeout); });
  if (ready == -1) throw_errno("poll");
  if (waits[0].revents != 0) return Event::request;
  if (ready == 0) return Event::quiet;
  const auto said = [](const pollfd& wait) { return wait.revents != 0; };
  const auto end = waits.begin() + static_cast<std::ptrdiff_t>(blanks_end);
  return std::any_of(waits.begin(), end, said) ? Event::blank : Event::domain_end;
}

int Server::quiet_ms() const noexcept {
  if (!was_asked_) return 0;
  return pool_.is_low() ? kShortQuietMs : kQuietMs;
}

bool Server::use_quiet_moment() {
  try {
    if (pool_.is_low() && pool_.make_ahead()) return true;
    return held_.release_ended() || pool_.make_ahead() || users_.make_ahead(2 * ahead_);
  } catch (const Error&) {
    return false;  // Whoever needs it is told why.
  }
}

Server::Answer Server::answer(const sys::Message& message) {
  const auto request = sandbox::decode_spawn_request(message.bytes);
  if (!request) return {sandbox::SpawnFailed{"no such request"}, {}};
  try {
    if (const auto* make_request = std::get_if<sandbox::MakeDomain>(&*request)) {
      if (make_request->spec.runtime == sandbox::Runtime::gvisor) return begin(*make_request);
      return make(*make_request);
    }
    if (const auto* probe = std::get_if<sandbox::ProbeGvisor>(&*request)) return begin(*probe);
    if (const auto* personal = std::get_if<sandbox::Personalize>(&*request)) {
      spawn::personalize(*personal, users_.get(personal->spec.uid_base));
      return {sandbox::Personal(), {}};
    }
    if (const auto* socket = std::get_if<sandbox::SocketIn>(&*request)) {
      return make_socket(*socket, message);
    }
    return listen(std::get<sandbox::ListenIn>(*request), message);
  } catch (const Error& error) {
    return {sandbox::SpawnFailed{error.what()}, {}};
  }
}

Server::Answer Server::listen(const sandbox::ListenIn& request, const sys::Message& message) {
  if (message.fds.size() != 1) return {sandbox::SpawnFailed{"one namespace is needed"}, {}};
  const int network = message.fds[0].get();
  std::vector<sys::PortSpec> ports;
  for (const auto& port : request.ports) ports.push_back({port.port, port.udp});
  sandbox::Listening answer;
  std::vector<sys::Fd> sockets = sys::listen_in(network, ports);
  for (std::size_t i = 0; i < request.ports.size(); ++i) {
    if (!request.ports[i].catches_all) continue;
    try {
      sockets.push_back(sys::catch_all(network, sockets[i].get()));
    } catch (const Error& error) {
      answer.why_not_all = error.what();
    }
    break;
  }
  return {answer, std::move(sockets)};
}

Server::Answer Server::make_socket(const sandbox::SocketIn& request, const sys::Message& message) {
  if (message.fds.size() != 1) return {sandbox::SpawnFailed{"one namespace is needed"}, {}};
  Answer answer{sandbox::SocketMade(), {}};
  const auto kind = static_cast<sys::SocketKind>(request.kind);
  answer.fds.push_back(sys::socket_in(message.fds[0].get(), kind));
  return answer;
}

Server::Answer Server::make(const sandbox::MakeDomain& request) {
  if (sys::Fd going = held_.going(request.spec.cell_dir)) {
    Answer answer{sandbox::MountsStay(), {}};
    answer.fds.push_back(std::move(going));
    return answer;
  }
  const sandbox::Image& image = images_.get(request.spec.image_dir);
  // Where all domains have the same ids, each still has a namespace of its own.
  const bool shares_ids = request.spec.rights == sandbox::Rights::user;
  const sys::Fd own =
      shares_ids ? sys::make_user_namespace(request.spec.uid_base, kIdsPerDomain) : sys::Fd();
  const int user = own ? own.get() : users_.get(request.spec.uid_base);
  Pool::Taken taken = pool_.take(request.slot, request.spec.kind);
  try {
    taken.blank.assign(request.spec, image, user);
    const sys::Fd listener = sys::seqpacket_listen(request.socket_path);
    Blank::Domain made = taken.blank.become_domain(listener.get());
    const auto pid = static_cast<std::uint32_t>(made.pid);
    held_.hold(request.spec.cell_dir, std::move(made.process), std::move(made.namespaces));
    return {sandbox::DomainMade{pid, std::move(taken.slot)}, {}};
  } catch (const Error&) {
    if (request.slot.empty()) pool_.discard(taken.slot);
    throw;
  }
}

Server::Answer Server::begin(const sandbox::MakeDomain& request) {
  const sandbox::Image& image = images_.get(request.spec.image_dir);
  return begin_in(request.slot, request.spec.kind, [&](const sandbox::DomainGroups& groups) {
    return gvisor_.make(request, image, groups);
  });
}

Server::Answer Server::begin(const sandbox::ProbeGvisor& request) {
  return begin_in({}, sandbox::DomainKind::shell, [&](const sandbox::DomainGroups& groups) {
    return gvisor_.probe(request.platform, groups);
  });
}

Server::Answer Server::begin_in(const std::string& given, sandbox::DomainKind kind,
                                const BeginRunsc& begin_runsc) {
  std::string slot = pool_.make_groups(given);
  Answer answer;
  try {
    answer.fds.push_back(begin_runsc(pool_.groups_of(slot, kind)));
  } catch (const Error&) {
    if (given.empty()) pool_.discard(slot);
    throw;
  }
  answer.message = sandbox::RunscStarted{std::move(slot)};
  return answer;
}

}  // namespace cellar::spawn
