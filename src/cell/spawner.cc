#include "cell/spawner.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "async/run_to_end.h"
#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "cell/cgroups.h"
#include "cell/runsc_report.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kRunBytes = 4;
constexpr std::chrono::seconds kLaunchLimit{20};
// Each takes some 0.6 s of a processor: with more of them at a time each would take longer only.
constexpr std::size_t kLaunchesAtOnce = 4;
constexpr std::chrono::milliseconds kGoneMaxPause{20};
// kvm is never taken: it wants /dev/kvm, and another kind of trust in the machine.
constexpr const char* kPlatforms[] = {"systrap", "ptrace"};

// Enough for all processors; with more of them each would only take longer. Both domains of a cell
// may be asked for at once.
std::size_t asks_at_once() {
  constexpr std::size_t kLeast = 4;
  return std::clamp<std::size_t>(2 * std::thread::hardware_concurrency(), kLeast,
                                 sandbox::kMakingsMax);
}

// What was answered where the answer is none of those that were hoped for.
std::string failure_in(const std::optional<sandbox::SpawnAnswer>& answer) {
  const auto* failed = answer ? std::get_if<sandbox::SpawnFailed>(&*answer) : nullptr;
  return failed != nullptr ? failed->message : "no such answer";
}

Error sandbox_failed(const std::string& why) {
  return Error(ErrorCode::unavailable, "sandbox_failed", "the sandbox could not be made: " + why);
}

}  // namespace

Spawner::Program Spawner::start(const Options& options, const std::string& run) {
  auto [ours, theirs] = sys::seqpacket_pair();
  const pid_t pid = sys::start_program(
      options.libexec + "/cellar-spawn",
      {options.state_dir, options.libexec + "/cell-init", options.daemon_group, run,
       std::to_string(options.prepared_cells),
       options.rights == sandbox::Rights::root ? "root" : "user", options.cgroup_host.unified},
      {theirs.get()});
  return {pid, std::move(ours)};
}

Spawner::Spawner(const asio::any_io_executor& executor, const Options& options)
    : options_(options),
      run_(random_hex(kRunBytes)),
      channel_(executor,
               [&] {
                 Program started = start(options_, run_);
                 pid_ = started.pid;
                 return std::move(started.socket);
               }()),
      asks_(executor, {.at_once = asks_at_once()}),
      probe_turns_(executor),
      launches_(executor, {.at_once = kLaunchesAtOnce}),
      tasks_(executor),
      probes_(executor) {}

Spawner::~Spawner() {
  channel_.close();
  sys::wait_program(pid_);
}

asio::awaitable<void> Spawner::close() {
  co_await probes_.close();
  co_await tasks_.join();
}

// What is asked for is done, whoever still wants it: a domain that was made must be told of.
asio::awaitable<sys::Message> Spawner::ask(sandbox::SpawnRequest request, std::vector<int> fds) {
  std::vector<sys::Fd> held;  // The caller may be gone before its turn comes.
  for (const int fd : fds) held.push_back(sys::duplicate(fd));
  auto asking = ask_in_turn(std::move(request), std::move(held));
  co_return co_await async::run_to_end(tasks_, std::move(asking));
}

asio::awaitable<sys::Message> Spawner::ask_in_turn(sandbox::SpawnRequest request,
                                                   std::vector<sys::Fd> held) {
  std::vector<int> fds;
  for (const sys::Fd& fd : held) fds.push_back(fd.get());
  const auto turn = co_await asks_.turn();
  Asked asked(co_await asio::this_coro::executor);
  while (++last_number_ == 0 || asked_.contains(last_number_)) {
  }
  const std::uint32_t number = last_number_;
  channel_.send(sandbox::encode(number, request), fds);
  struct Waiting {
    std::map<std::uint32_t, Asked*>& all;
    std::uint32_t number;
    ~Waiting() { all.erase(number); }
  } const waiting{asked_, number};
  asked_.emplace(number, &asked);
  if (!std::exchange(is_reading_, true)) tasks_.spawn(read_answers());
  co_await asked.is_over.wait();
  if (!asked.answer) throw Error(ErrorCode::unavailable, "no_spawner", "cellar-spawn has ended");
  co_return std::move(*asked.answer);
}

// As long as somebody waits for one.
asio::awaitable<void> Spawner::read_answers() {
  try {
    while (!asked_.empty()) {
      std::optional<sys::Message> message = co_await channel_.receive();
      if (!message) break;
      const auto found = asked_.find(sandbox::number_of(message->bytes));
      if (found == asked_.end()) continue;
      Asked& asked = *found->second;
      asked_.erase(found);
      asked.answer = std::move(message);
      asked.is_over.set();
    }
  } catch (const std::exception& error) {
    log::warning("no more answers of cellar-spawn are read: {}", error.what());
  }
  for (const auto& [number, asked] : std::exchange(asked_, {})) asked->is_over.set();
  is_reading_ = false;
}

asio::awaitable<Spawner::Domain> Spawner::make_domain(sandbox::DomainSpec spec,
                                                      std::string socket_path, std::string slot) {
  if (spec.runtime == sandbox::Runtime::gvisor) co_await require_gvisor();
  sandbox::MakeDomain request;
  request.spec = std::move(spec);
  request.socket_path = std::move(socket_path);
  request.slot = std::move(slot);
  const auto give_up = std::chrono::steady_clock::now() + options_.mounts_limit;
  for (;;) {
    std::vector<int> none;
    sys::Message answer = co_await ask(request, std::move(none));
    const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
    const auto* made = decoded ? std::get_if<sandbox::DomainMade>(&*decoded) : nullptr;
    const bool stay = decoded && std::holds_alternative<sandbox::MountsStay>(*decoded);
    const bool is_whole = answer.fds.size() == 1;
    // It is there, but this daemon had no descriptor left for the way to it.
    if (made != nullptr && !is_whole && request.slot.empty()) {
      tasks_.spawn(remove_surely(
          sandbox::plan_cgroups(options_.cgroup_host, options_.daemon_group, made->slot)));
    }
    if ((made == nullptr && !stay) || !is_whole) {
      throw sandbox_failed(failure_in(decoded));
    }
    if (made != nullptr) co_return Domain{made->pid, made->slot, std::move(answer.fds[0])};
    co_await await_gone(std::move(answer.fds[0]), give_up);
  }
}

// Until the process has ended, which lets go of a cell's mounts.
asio::awaitable<void> Spawner::await_gone(sys::Fd process,
                                          std::chrono::steady_clock::time_point give_up) {
  std::chrono::milliseconds pause{1};
  while (!sys::has_ended(process.get())) {
    if (std::chrono::steady_clock::now() >= give_up) {
      throw Error(ErrorCode::unavailable, "sandbox_failed",
                  "the sandbox could not be made: what the cell's last one had mounted is still "
                  "there after " +
                      std::to_string(options_.mounts_limit.count()) + " ms",
                  "try again: before it goes, the file system of the state folder is written "
                  "back; a disk that is slow, or has much to write, takes long for that");
    }
    co_await async::sleep_for(pause);
    pause = std::min(2 * pause, kGoneMaxPause);
  }
}

asio::awaitable<void> Spawner::personalize(sandbox::DomainSpec spec, sys::ProcessId init) {
  sandbox::Personalize request;
  request.spec = std::move(spec);
  request.pid = static_cast<std::uint32_t>(init.pid);
  request.start_time = init.start_time;
  co_await ask_for_personal(std::move(request));
}

asio::awaitable<void> Spawner::adopt(std::string made_in, std::string cell_dir,
                                     std::string host_name) {
  sandbox::Adopt request{std::move(made_in), std::move(cell_dir), std::move(host_name)};
  co_await ask_for_personal(std::move(request));
}

asio::awaitable<void> Spawner::ask_for_personal(sandbox::SpawnRequest request) {
  std::vector<int> none;
  const sys::Message answer = co_await ask(std::move(request), std::move(none));
  const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
  if (decoded && std::holds_alternative<sandbox::Personal>(*decoded)) co_return;
  throw sandbox_failed(failure_in(decoded));
}

// ---- in gVisor ----

asio::awaitable<Spawner::GvisorLaunch> Spawner::launch_in_gvisor(sandbox::DomainSpec spec,
                                                                 std::string socket_path,
                                                                 std::string slot) {
  co_await require_gvisor();
  auto turn = co_await launches_.turn();
  const std::string folder = sandbox::runsc_folder(socket_path);
  sandbox::MakeDomain request;
  request.spec = std::move(spec);
  request.socket_path = std::move(socket_path);
  request.slot = std::move(slot);
  request.platform = gvisor_platform_;
  std::vector<int> none;
  sys::Message answer = co_await ask(std::move(request), std::move(none));
  const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
  const auto* started = decoded ? std::get_if<sandbox::RunscStarted>(&*decoded) : nullptr;
  if (started == nullptr || answer.fds.size() != 1) throw sandbox_failed(failure_in(decoded));
  co_return GvisorLaunch(std::move(turn), started->slot, std::move(answer.fds[0]), folder);
}

asio::awaitable<std::uint32_t> Spawner::GvisorLaunch::finish() {
  std::optional<Error> failure;
  try {
    co_await await_runsc(std::move(report_), kLaunchLimit);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = sandbox_failed(error.what());
  }
  if (failure) throw *failure;
  const auto text = sys::read_file(folder_ + "/pid");
  const auto pid = parse_int(trim(text.value_or("")));
  if (!pid || *pid <= 0) throw sandbox_failed("runsc made no sandbox");
  co_return static_cast<std::uint32_t>(*pid);
}

asio::awaitable<void> Spawner::require_gvisor() {
  if (options_.rights == sandbox::Rights::user) {
    throw Error(ErrorCode::unavailable, "runtime_unavailable",
                "the runtime gvisor cannot be used by a daemon without root",
                "use the runtime native, or a daemon that root starts");
  }
  if (gvisor_platform_.empty()) co_await async::run_to_end(probes_, probe_gvisor());
}

asio::awaitable<void> Spawner::probe_gvisor() {
  const auto turn = co_await probe_turns_.turn();
  std::string failures;
  for (const char* platform : kPlatforms) {
    if (!gvisor_platform_.empty()) co_return;
    const std::optional<Error> failure = co_await try_gvisor(platform);
    if (!failure) {
      gvisor_platform_ = platform;
    } else {
      failures +=
          (failures.empty() ? "" : "; ") + std::string("on ") + platform + ": " + failure->what();
    }
  }
  if (!gvisor_platform_.empty()) co_return;
  throw Error(
      ErrorCode::unavailable, "runtime_unavailable",
      "the runtime gvisor cannot be used on this machine: runsc does not work here, " + failures,
      "install runsc of 2024 or later: apt-get install runsc on Debian 13, scripts/setup on "
      "Debian 12, or https://gvisor.dev/docs/user_guide/install");
}

asio::awaitable<std::optional<Error>> Spawner::try_gvisor(std::string platform) {
  sandbox::ProbeGvisor request;
  request.platform = platform;
  std::vector<int> none;
  sys::Message answer = co_await ask(std::move(request), std::move(none));
  const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
  const auto* started = decoded ? std::get_if<sandbox::RunscStarted>(&*decoded) : nullptr;
  if (started == nullptr || answer.fds.size() != 1) {
    co_return Error(ErrorCode::unavailable, failure_in(decoded));
  }
  std::optional<Error> failure;
  try {
    co_await await_runsc(std::move(answer.fds[0]), kLaunchLimit);
  } catch (const Error& error) {
    failure = error;
  }
  // However it ended, canceled or not, nothing of it is left.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await remove(
      sandbox::plan_cgroups(options_.cgroup_host, options_.daemon_group, started->slot));
  sys::remove_tree(options_.state_dir + "/" + sandbox::kProbeFolder);
  if (failure && failure->code() == ErrorCode::canceled) throw *failure;
  co_return failure;
}

asio::awaitable<Spawner::Listeners> Spawner::listen_in(sys::Fd network_namespace,
                                                       std::vector<sandbox::ListenIn::Port> ports) {
  Listeners listeners;
  for (std::size_t at = 0; at < ports.size(); at += sandbox::ListenIn::kPortsMax) {
    sandbox::ListenIn request;
    const std::size_t end = std::min(ports.size(), at + sandbox::ListenIn::kPortsMax);
    request.ports.assign(ports.begin() + static_cast<std::ptrdiff_t>(at),
                         ports.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<int> fds(1, network_namespace.get());
    sys::Message answer = co_await ask(std::move(request), std::move(fds));
    const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
    const auto* listening = decoded ? std::get_if<sandbox::Listening>(&*decoded) : nullptr;
    const std::size_t asked = end - at;
    if (listening == nullptr || answer.fds.size() < asked) {
      throw Error(ErrorCode::unavailable, "listen_failed", failure_in(decoded));
    }
    say_why_not_all(listening->why_not_all);
    if (answer.fds.size() > asked) listeners.catch_all = std::move(answer.fds[asked]);
    answer.fds.resize(asked);
    for (sys::Fd& fd : answer.fds) listeners.sockets.push_back(std::move(fd));
  }
  co_return listeners;
}

// Once: it is the machine's, not the cell's.
void Spawner::say_why_not_all(const std::string& why) {
  if (why.empty() || said_why_not_all_) return;
  said_why_not_all_ = true;
  log::info(
      "cells reach outside the ports 22, 80, 443 and those that their policies name, and no "
      "others: {} (`cellar doctor` says what is missing)",
      why);
}

asio::awaitable<sys::Fd> Spawner::socket_in(sys::Fd network_namespace,
                                            sandbox::SocketIn::Kind kind) {
  sandbox::SocketIn request;
  request.kind = kind;
  std::vector<int> fds(1, network_namespace.get());
  sys::Message answer = co_await ask(std::move(request), std::move(fds));
  const auto decoded = sandbox::decode_spawn_answer(answer.bytes);
  const bool is_made = decoded && std::holds_alternative<sandbox::SocketMade>(*decoded);
  if (!is_made || answer.fds.size() != 1) {
    throw Error(ErrorCode::unavailable, "socket_failed", failure_in(decoded));
  }
  co_return std::move(answer.fds[0]);
}

}  // namespace cellar::cell
