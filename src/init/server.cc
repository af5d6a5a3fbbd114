#include "init/server.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "init/gvisor.h"
#include "init/subtree.h"
#include "sys/call.h"

namespace cellar::init {

Server::Server(sys::Fd listener, sys::Fd signals, CommandFilter filter, Runtime runtime)
    : listener_(std::move(listener)),
      signals_(std::move(signals)),
      filter_(std::move(filter)),
      runtime_(runtime) {}

void Server::run() {
  for (;;) run_once();
}

void Server::run_once() {
  std::array<pollfd, 3> waits = {{{signals_.get(), POLLIN, 0},
                                  {listener_.get(), POLLIN, 0},
                                  {connection_.get(), POLLIN, 0}}};  // -1 is passed over
  if (sys::retry_on_signal([&] { return ::poll(waits.data(), waits.size(), -1); }) == -1) {
    throw_errno("poll");
  }
  if (waits[0].revents != 0) {
    signalfd_siginfo unused{};
    (void)!::read(signals_.get(), &unused, sizeof unused);
    reap();
  }
  if (waits[1].revents != 0) {
    accept();
  } else if (waits[2].revents != 0) {
    receive();
  }
}

void Server::accept() {
  sys::Fd accepted = runtime_ == Runtime::gvisor
                         ? sys::rendezvous_accept(listener_.get())
                         : sys::Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted) return;  // It was gone again.
  if (connection_) drop_connection();
  connection_ = std::move(accepted);
  report(wire::InitHello());
}

void Server::receive() {
  try {
    bool would_block = false;
    const auto message = sys::receive_message(connection_.get(), sys::Wait::no, &would_block);
    if (would_block) return;
    const auto request =
        message ? wire::decode_init_request(message->bytes) : std::optional<wire::InitRequest>();
    if (!request) {
      drop_connection();
      return;
    }
    handle(*request, message->fds);
  } catch (const Error&) {
    drop_connection();
  }
}

void Server::handle(const wire::InitRequest& request, const std::vector<sys::Fd>& fds) {
  if (const auto* start = std::get_if<wire::SpawnRequest>(&request)) {
    SpawnResult result = spawn(*start, fds, filter_, runtime_);
    if (result.pid == -1) {
      report(wire::StartFailed{start->id, result.failed_step,
                               static_cast<std::uint32_t>(result.error)});
      return;
    }
    leaders_[result.pid] = {start->id, std::move(result.status)};
    report(wire::Started{start->id, static_cast<std::uint32_t>(result.pid)});
    return;
  }
  const auto& signal = std::get<wire::SignalRequest>(request);
  const auto leader = std::find_if(leaders_.begin(), leaders_.end(),
                                   [&](const auto& entry) { return entry.second.id == signal.id; });
  if (leader == leaders_.end()) return;
  // Who contains a program passes signals on, and ends with all of it.
  const bool is_contained = static_cast<bool>(leader->second.status);
  if (is_contained && runtime_ == Runtime::native && signal.signal == SIGKILL) {
    end_subtree(leader->first);
  } else {
    ::kill(is_contained ? leader->first : -leader->first, static_cast<int>(signal.signal));
  }
}

void Server::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = sys::retry_on_signal([&] { return ::waitpid(-1, &status, WNOHANG); });
    if (pid <= 0) return;
    const auto leader = leaders_.find(pid);
    if (leader == leaders_.end()) continue;  // An orphan that became ours.
    const std::uint32_t id = leader->second.id;
    if (leader->second.status) {
      const auto told = contained_status(leader->second.status.get());
      // In gVisor all of it ended with the one that was killed.
      if (!told && runtime_ == Runtime::native) kill_all();
      status = told.value_or(status);
    }
    leaders_.erase(leader);
    if (connection_) report(wire::Exited{id, static_cast<std::uint32_t>(status)});
  }
}

void Server::report(const wire::InitReport& report) {
  try {
    // A daemon that does not read what it asked for is as good as gone.
    if (!sys::send_message(connection_.get(), wire::encode(report), {}, sys::Wait::no)) {
      drop_connection();
    }
  } catch (const Error&) {
    drop_connection();
  }
}

void Server::drop_connection() {
  connection_.reset();
  leaders_.clear();
  kill_all();
}

void Server::kill_all() {
  if (::getpid() == 1) ::kill(-1, SIGKILL);  // All but ourselves, in this pid namespace only.
}

}  // namespace cellar::init
