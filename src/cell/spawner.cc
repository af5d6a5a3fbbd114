#include "cell/spawner.h"

#include "async/run_to_end.h"
#include "base/error.h"
#include "base/random.h"
#include "sys/process.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kRunBytes = 4;

struct Started {
  pid_t pid;
  sys::Fd socket;
};

Started start(const Spawner::Options& options, const std::string& run) {
  auto [ours, theirs] = sys::seqpacket_pair();
  const pid_t pid =
      sys::start_program(options.libexec + "/cellar-spawn",
                         {options.state_dir, options.libexec + "/cell-init", options.daemon_group,
                          run, std::to_string(options.prepared_cells)},
                         {theirs.get()});
  return {pid, std::move(ours)};
}

}  // namespace

Spawner::Spawner(const asio::any_io_executor& executor, const Options& options)
    : run_(random_hex(kRunBytes)),
      channel_(executor,
               [&] {
                 Started started = start(options, run_);
                 pid_ = started.pid;
                 return std::move(started.socket);
               }()),
      serial_(executor),
      tasks_(executor) {}

Spawner::~Spawner() {
  channel_.close();
  sys::wait_program(pid_);
}

asio::awaitable<void> Spawner::close() { co_await tasks_.join(); }

// Each answer must be taken, whoever still wants it: the next one belongs to the next request.
asio::awaitable<sys::Message> Spawner::ask(std::string request, std::vector<int> fds) {
  std::vector<sys::Fd> held;  // The caller may be gone before its turn comes.
  for (int& fd : fds) {
    held.push_back(sys::duplicate(fd));
    fd = held.back().get();
  }
  auto asking = ask_in_turn(std::move(request), std::move(held));
  co_return co_await async::run_to_end(tasks_, std::move(asking));
}

asio::awaitable<sys::Message> Spawner::ask_in_turn(std::string request, std::vector<sys::Fd> held) {
  std::vector<int> fds;
  for (const sys::Fd& fd : held) fds.push_back(fd.get());
  const auto turn = co_await serial_.turn();
  channel_.send(request, fds);
  auto answer = co_await channel_.receive();
  if (!answer) throw Error(ErrorCode::unavailable, "no_spawner", "cellar-spawn has ended");
  co_return std::move(*answer);
}

asio::awaitable<sandbox::DomainMade> Spawner::make_domain(sandbox::DomainSpec spec,
                                                          std::string socket_path,
                                                          std::string slot) {
  sandbox::MakeDomain request;
  request.spec = std::move(spec);
  request.socket_path = std::move(socket_path);
  request.slot = std::move(slot);
  std::string bytes = sandbox::encode(sandbox::SpawnRequest(std::move(request)));
  std::vector<int> none;
  const sys::Message answer = co_await ask(std::move(bytes), none);
  const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
  if (decoded && std::holds_alternative<sandbox::DomainMade>(*decoded)) {
    co_return std::get<sandbox::DomainMade>(*decoded);
  }
  const auto* failed = decoded ? std::get_if<sandbox::SpawnFailed>(&*decoded) : nullptr;
  throw Error(ErrorCode::unavailable, "sandbox_failed",
              "the sandbox could not be made: " +
                  (failed != nullptr ? failed->message : std::string("no such answer")));
}

asio::awaitable<void> Spawner::require_gvisor() {
  if (gvisor_works_) co_return;
  std::string bytes = sandbox::encode(sandbox::SpawnRequest(sandbox::ProbeGvisor()));
  std::vector<int> none;
  const sys::Message answer = co_await ask(std::move(bytes), none);
  const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
  gvisor_works_ = decoded && std::holds_alternative<sandbox::GvisorWorks>(*decoded);
  if (gvisor_works_) co_return;
  const auto* failed = decoded ? std::get_if<sandbox::SpawnFailed>(&*decoded) : nullptr;
  throw Error(
      ErrorCode::unavailable, "runtime_unavailable",
      "the runtime gvisor cannot be used on this machine: " +
          (failed != nullptr ? failed->message : std::string("no such answer")),
      "install runsc of 2024 or later: apt-get install runsc on Debian 13, scripts/setup on "
      "Debian 12, or https://gvisor.dev/docs/user_guide/install");
}

asio::awaitable<std::vector<sys::Fd>> Spawner::listen_in(
    sys::Fd network_namespace, std::vector<sandbox::ListenIn::Port> ports) {
  std::vector<sys::Fd> sockets;
  for (std::size_t at = 0; at < ports.size(); at += sandbox::ListenIn::kPortsMax) {
    sandbox::ListenIn request;
    const std::size_t end = std::min(ports.size(), at + sandbox::ListenIn::kPortsMax);
    request.ports.assign(ports.begin() + static_cast<std::ptrdiff_t>(at),
                         ports.begin() + static_cast<std::ptrdiff_t>(end));
    std::string bytes = sandbox::encode(sandbox::SpawnRequest(std::move(request)));
    std::vector<int> fds(1, network_namespace.get());
    sys::Message answer = co_await ask(std::move(bytes), std::move(fds));
    const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
    if (!decoded || !std::holds_alternative<sandbox::Listening>(*decoded)) {
      const auto* failed = decoded ? std::get_if<sandbox::SpawnFailed>(&*decoded) : nullptr;
      throw Error(ErrorCode::unavailable, "listen_failed",
                  failed != nullptr ? failed->message : "no such answer");
    }
    for (sys::Fd& fd : answer.fds) sockets.push_back(std::move(fd));
  }
  co_return sockets;
}

}  // namespace cellar::cell
