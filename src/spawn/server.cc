#include "spawn/server.h"

#include <poll.h>

#include <algorithm>

#include "base/error.h"
#include "base/fault.h"
#include "spawn/personal.h"
#include "sys/call.h"
#include "sys/catch_all.h"
#include "sys/network_namespace.h"
#include "sys/process.h"
#include "sys/user_namespace.h"

namespace cellar::spawn {
namespace {

// Preparing takes a processor from the cell that was just made, and letting go of an old one from
// who waits for its end: both wait until it is quiet.
constexpr int kQuietMs = 20;
// Where few cells are prepared, whoever asks next would wait longer than this takes from the last.
constexpr int kShortQuietMs = 2;
constexpr std::size_t kDomainsOfCell = 2;

}  // namespace

void Server::run() {
  for (bool is_asked = true; is_asked;) {
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
      case Event::said:
        was_asked_ = true;
        all_done_ = false;
        is_asked = take_requests() && finish_makings();
    }
  }
  end_makings();
}

Server::Event Server::wait() {
  std::vector<pollfd> waits = {{socket_.get(), POLLIN, 0}};
  for (const int socket : makings_.sockets()) waits.push_back({socket, POLLIN, 0});
  // While something is being made nothing else is done: of hundreds of domains that live only the
  // look at each would take its time.
  const bool is_making = !makings_.is_empty();
  int timeout = all_done_ ? -1 : quiet_ms();
  std::size_t blanks_end = waits.size();
  if (is_making) {
    timeout = static_cast<int>(makings_.wait_limit().count());
  } else {
    for (const int socket : pool_.sockets()) waits.push_back({socket, POLLIN, 0});
    blanks_end = waits.size();
    for (const int process : held_.descriptors()) waits.push_back({process, POLLIN, 0});
  }
  const int ready =
      sys::retry_on_signal([&] { return ::poll(waits.data(), waits.size(), timeout); });
  if (ready == -1) throw_errno("poll");
  if (is_making || waits[0].revents != 0) return Event::said;
  if (ready == 0) return Event::quiet;
  const auto said = [](const pollfd& wait) { return wait.revents != 0; };
  const auto end = waits.begin() + static_cast<std::ptrdiff_t>(blanks_end);
  return std::any_of(waits.begin(), end, said) ? Event::blank : Event::domain_end;
}

bool Server::take_requests() {
  // All that are there, before what is made begins: a cell-init often gets this processor, and runs
  // when this process waits. But not for ever.
  for (std::size_t taken = 0; taken < sandbox::kMakingsMax; ++taken) {
    bool would_block = false;
    const auto message = sys::receive_message(socket_.get(), sys::Wait::no, &would_block);
    if (!message) return would_block;
    const std::optional<Answer> reply = answer(*message);
    if (reply && !send(sandbox::number_of(message->bytes), *reply)) return false;
  }
  return true;
}

bool Server::send(std::uint32_t number, const Answer& answer) {
  std::vector<int> fds;
  for (const sys::Fd& fd : answer.fds) fds.push_back(fd.get());
  try {
    sys::send_message(socket_.get(), sandbox::encode(number, answer.message), fds);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) throw;
    return false;
  }
  return true;
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

std::optional<Server::Answer> Server::answer(const sys::Message& message) {
  const auto request = sandbox::decode_spawn_request(message.bytes);
  if (!request) return Answer{sandbox::SpawnFailed{"no such request"}, {}};
  try {
    if (const auto* make_request = std::get_if<sandbox::MakeDomain>(&*request)) {
      if (make_request->spec.runtime == sandbox::Runtime::gvisor) return begin(*make_request);
      return make(sandbox::number_of(message.bytes), *make_request);
    }
    if (const auto* probe = std::get_if<sandbox::ProbeGvisor>(&*request)) return begin(*probe);
    if (const auto* personal = std::get_if<sandbox::Personalize>(&*request)) {
      spawn::personalize(*personal, users_.get(personal->spec.uid_base));
      return Answer{sandbox::Personal(), {}};
    }
    if (const auto* adopt = std::get_if<sandbox::Adopt>(&*request)) {
      held_.adopt(adopt->made_in, adopt->cell_dir, adopt->host_name, kDomainsOfCell);
      return Answer{sandbox::Personal(), {}};
    }
    if (const auto* socket = std::get_if<sandbox::SocketIn>(&*request)) {
      return make_socket(*socket, message);
    }
    return listen(std::get<sandbox::ListenIn>(*request), message);
  } catch (const Error& error) {
    return Answer{sandbox::SpawnFailed{error.what()}, {}};
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

// ---- making a domain ----

std::optional<Server::Answer> Server::make(std::uint32_t number,
                                           const sandbox::MakeDomain& request) {
  makings_.require_room();
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
  Pool::Taken taken = pool_.take(slot_for(request), request.spec.kind);
  Makings::Making making{.number = number,
                         .cell_dir = request.spec.cell_dir,
                         .slot = std::move(taken.slot),
                         .is_slot_given = !request.slot.empty(),
                         .blank = std::move(taken.blank)};
  try {
    making.blank.assign(request.spec, image, user, request.socket_path);
  } catch (const Error&) {
    clear_away(std::move(making));
    throw;
  }
  makings_.add(std::move(making));
  fault_point("spawn.making");
  return std::nullopt;
}

// Who asks for both domains of a cell at once does not know the slot yet.
std::string Server::slot_for(const sandbox::MakeDomain& request) const {
  if (!request.slot.empty() || request.spec.cell_dir.empty()) return request.slot;
  const std::string slot = makings_.slot_of(request.spec.cell_dir);
  return slot.empty() ? held_.slot_of(request.spec.cell_dir) : slot;
}

bool Server::finish_makings() {
  for (Makings::Ended& ended : makings_.take_ended()) {
    const std::uint32_t number = ended.making.number;
    if (ended.failure) {
      clear_away(std::move(ended.making));
      if (!send(number, {sandbox::SpawnFailed{ended.failure->what()}, {}})) return false;
      continue;
    }
    Blank::Domain made = ended.making.blank.leave();
    Answer answer{sandbox::DomainMade{static_cast<std::uint32_t>(made.pid), ended.making.slot}, {}};
    answer.fds.push_back(std::move(made.connection));
    held_.hold({std::move(ended.making.cell_dir), std::move(ended.making.slot)},
               std::move(made.process), std::move(made.namespaces));
    if (!send(number, answer)) return false;
  }
  return true;
}

// What it has mounted by then may keep the cell's next domain waiting. A slot that nobody knows of
// goes, too.
void Server::clear_away(Makings::Making making) {
  Blank::Domain left = making.blank.leave();
  sys::kill_process(left.process.get());
  held_.hold({std::move(making.cell_dir), {}}, std::move(left.process), std::move(left.namespaces));
  const bool is_known =
      making.is_slot_given || makings_.has_slot(making.slot) || held_.has_slot(making.slot);
  if (!is_known) pool_.discard(making.slot);
}

void Server::end_makings() {
  for (Makings::Making& making : makings_.take_all()) clear_away(std::move(making));
}

// ---- in gVisor ----

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
