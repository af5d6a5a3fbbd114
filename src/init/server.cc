#include "init/server.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

#include "base/error.h"
#include "init/gvisor.h"
#include "init/proc.h"
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
  if (accepted) take(std::move(accepted));  // Else it was gone again.
}

void Server::take(sys::Fd connection) {
  if (connection_) drop_connection();
  connection_ = std::move(connection);
  greet();
}

void Server::greet() {
  for (const auto& [id, program] : kept_) {
    std::vector<int> fds;
    for (const sys::Fd& fd : program.fds) fds.push_back(fd.get());
    report(wire::Kept{.id = id,
                      .pid = static_cast<std::uint32_t>(program.pid),
                      .has_ended = program.wait_status.has_value(),
                      .wait_status = static_cast<std::uint32_t>(program.wait_status.value_or(0))},
           fds);
    if (!connection_) return;
  }
  report(wire::InitHello());
}

void Server::receive() {
  try {
    bool would_block = false;
    auto message = sys::receive_message(connection_.get(), sys::Wait::no, &would_block);
    if (would_block) return;
    const auto request =
        message ? wire::decode_init_request(message->bytes) : std::optional<wire::InitRequest>();
    if (!request) {
      drop_connection();
      return;
    }
    handle(*request, std::move(message->fds));
  } catch (const Error&) {
    drop_connection();
  }
}

void Server::handle(const wire::InitRequest& request, std::vector<sys::Fd> fds) {
  if (const auto* spawn = std::get_if<wire::SpawnRequest>(&request)) start(*spawn, std::move(fds));
  if (const auto* sent = std::get_if<wire::SignalRequest>(&request)) signal(*sent);
  if (const auto* sent = std::get_if<wire::ForgetRequest>(&request)) forget(*sent);
}

void Server::start(const wire::SpawnRequest& request, std::vector<sys::Fd> fds) {
  if (request.keep_count > fds.size() || (request.keep_count > 0 && kept_.size() == kKeptMax)) {
    report(wire::StartFailed{request.id, "keep", EMFILE});
    return;
  }
  const auto first_kept = fds.end() - static_cast<std::ptrdiff_t>(request.keep_count);
  KeptProgram kept;
  std::move(first_kept, fds.end(), std::back_inserter(kept.fds));
  fds.erase(first_kept, fds.end());
  SpawnResult result = spawn(request, fds, filter_, runtime_);
  if (result.pid == -1) {
    report(wire::StartFailed{request.id, result.failed_step,
                             static_cast<std::uint32_t>(result.error)});
    return;
  }
  if (!kept.fds.empty()) {
    kept.pid = result.pid;
    kept.group = group_of(result.pid);
    kept_[request.id] = std::move(kept);
  }
  leaders_[result.pid] = {request.id, std::move(result.status)};
  report(wire::Started{request.id, static_cast<std::uint32_t>(result.pid)});
}

void Server::forget(const wire::ForgetRequest& request) {
  const auto kept = kept_.find(request.id);
  if (kept == kept_.end()) return;
  auto& fds = kept->second.fds;
  if (request.first < fds.size()) fds.erase(fds.begin() + request.first, fds.end());
  if (fds.empty()) kept_.erase(kept);
}

void Server::signal(const wire::SignalRequest& request) {
  const auto leader = std::find_if(leaders_.begin(), leaders_.end(), [&](const auto& entry) {
    return entry.second.id == request.id;
  });
  if (leader == leaders_.end()) return;
  // Who contains a program passes signals on, and ends with all of it.
  const bool is_contained = static_cast<bool>(leader->second.status);
  if (is_contained && runtime_ == Runtime::native && request.signal == SIGKILL) {
    end_subtree(leader->first);
  } else {
    ::kill(is_contained ? leader->first : -leader->first, static_cast<int>(request.signal));
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
      // In gVisor all of it ended with the one that was killed; here nobody knows what was its.
      if (!told && runtime_ == Runtime::native && ::getpid() == 1) ::kill(-1, SIGKILL);
      status = told.value_or(status);
    }
    leaders_.erase(leader);
    const auto kept = kept_.find(id);
    if (kept != kept_.end()) kept->second.wait_status = status;
    if (connection_) report(wire::Exited{id, static_cast<std::uint32_t>(status)});
  }
}

void Server::report(const wire::InitReport& report, std::span<const int> fds) {
  try {
    // A daemon that does not read what it asked for is as good as gone.
    if (!sys::send_message(connection_.get(), wire::encode(report), fds, sys::Wait::no)) {
      drop_connection();
    }
  } catch (const Error&) {
    drop_connection();
  }
}

void Server::drop_connection() {
  connection_.reset();
  kill_all_but_kept();
  std::erase_if(leaders_, [this](const auto& entry) { return !kept_.contains(entry.second.id); });
}

void Server::kill_all_but_kept() {
  const bool are_contained = std::any_of(leaders_.begin(), leaders_.end(), [](const auto& entry) {
    return static_cast<bool>(entry.second.status);
  });
  if (are_contained && !kept_.empty()) {
    for (const auto& [pid, leader] : leaders_) {
      if (!kept_.contains(leader.id)) end_subtree(pid);
    }
    return;
  }
  if (::getpid() != 1) return;  // In a test: it has no pid namespace of its own.
  std::set<std::string> spared;
  for (const auto& [id, program] : kept_) spared.insert(program.group);
  if (spared.empty()) {
    ::kill(-1, SIGKILL);
  } else {
    kill_outside(spared);
  }
}

}  // namespace cellar::init
