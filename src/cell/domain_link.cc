#include "cell/domain_link.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace cellar::cell {
namespace {

Error error_of(const wire::StartFailed& failure, const wire::SpawnRequest& request) {
  const int error = static_cast<int>(failure.error);
  const std::string why = std::strerror(error);
  if (failure.step == "chdir") {
    return Error(ErrorCode::invalid_argument, "invalid_cwd", "cwd " + request.cwd + ": " + why);
  }
  const ErrorCode code = error == ENOENT ? ErrorCode::not_found : ErrorCode::unavailable;
  return Error(code, "start_failed",
               (failure.step == "execve" ? request.argv.front() : failure.step) + ": " + why);
}

}  // namespace

DomainLink::DomainLink(asio::any_io_executor executor, sys::Fd socket)
    : executor_(executor), channel_(executor, std::move(socket)), greeting_(executor) {}

asio::awaitable<void> DomainLink::serve() {
  while (auto message = co_await channel_.receive()) {
    const auto report = wire::decode_init_report(message->bytes);
    if (!report) break;
    take(*report, std::move(message->fds));
  }
  lost_ = true;
  channel_.close();
  greeting_.set();
  for (auto& [id, program] : programs_) {
    if (!program->exit) program->exit = Exit{.lost = lost_by_};
    program->changed.set();
  }
}

asio::awaitable<void> DomainLink::greeted(std::chrono::milliseconds limit) {
  const bool in_time = co_await greeting_.wait_for(limit);
  if (lost_) throw Error(ErrorCode::unavailable, "domain_lost", "the domain ended at once");
  if (!in_time || !version_) {
    throw Error(ErrorCode::unavailable, "domain_silent", "cell-init does not answer");
  }
  if (*version_ != wire::kInitVersion) {
    throw Error(ErrorCode::unavailable, "domain_outdated",
                "cell-init speaks version " + std::to_string(*version_) + ", not " +
                    std::to_string(wire::kInitVersion));
  }
}

void DomainLink::take(const wire::InitReport& report, std::vector<sys::Fd> fds) {
  if (const auto* hello = std::get_if<wire::InitHello>(&report)) {
    version_ = hello->version;
    greeting_.set();
    return;
  }
  if (const auto* kept = std::get_if<wire::Kept>(&report)) {
    const auto program = std::make_shared<Program>(executor_);
    program->pid = kept->pid;
    if (kept->has_ended) program->exit = Exit{.wait_status = static_cast<int>(kept->wait_status)};
    programs_[kept->id] = program;
    last_id_ = std::max(last_id_, kept->id);
    kept_.push_back({kept->id, kept->pid, std::move(fds)});
    return;
  }
  const auto id_of = [](const auto& what) -> std::uint32_t {
    if constexpr (requires { what.id; }) return what.id;
    return 0;
  };
  const auto found = programs_.find(std::visit(id_of, report));
  if (found == programs_.end()) return;
  Program& program = *found->second;
  if (const auto* started = std::get_if<wire::Started>(&report)) program.pid = started->pid;
  if (const auto* failure = std::get_if<wire::StartFailed>(&report)) program.failure = *failure;
  if (const auto* exited = std::get_if<wire::Exited>(&report)) {
    program.exit = Exit{.wait_status = static_cast<int>(exited->wait_status)};
  }
  program.changed.set();
}

asio::awaitable<std::uint32_t> DomainLink::start(wire::SpawnRequest request, std::vector<int> fds) {
  if (lost_) throw Error(ErrorCode::unavailable, "domain_lost", "the domain has ended");
  const auto program = std::make_shared<Program>(executor_);
  try {
    channel_.send(wire::encode(wire::InitRequest(request)), fds);
  } catch (const Error& error) {  // It is gone, and serve() has not come to it yet.
    if (error.code() != ErrorCode::unavailable) throw;
    throw Error(ErrorCode::unavailable, "domain_lost",
                "the domain has ended: " + std::string(error.what()));
  }
  programs_[request.id] = program;
  while (!program->pid && !program->failure && !program->exit) {
    program->changed.reset();
    co_await program->changed.wait();
  }
  if (program->failure) {
    programs_.erase(request.id);
    throw error_of(*program->failure, request);
  }
  co_return program->pid.value_or(0);  // 0: it was lost before it could be told.
}

asio::awaitable<DomainLink::Exit> DomainLink::wait_exit(std::uint32_t id) {
  const auto program = programs_.at(id);
  while (!program->exit) {
    program->changed.reset();
    co_await program->changed.wait();
  }
  const Exit exit = *program->exit;
  programs_.erase(id);
  co_return exit;
}

asio::awaitable<bool> DomainLink::ends_within(std::uint32_t id, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto found = programs_.find(id);
    if (found == programs_.end() || found->second->exit) co_return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return false;
    const auto program = found->second;
    program->changed.reset();
    co_await program->changed.wait_for(left);
  }
}

bool DomainLink::is_running(std::uint32_t id) const {
  const auto found = programs_.find(id);
  return found != programs_.end() && !found->second->exit;
}

bool DomainLink::is_starting(std::uint32_t id) const {
  const auto found = programs_.find(id);
  return found != programs_.end() && !found->second->pid && !found->second->exit;
}

void DomainLink::signal(std::uint32_t id, int signal) {
  if (lost_ || !programs_.contains(id)) return;
  send(wire::SignalRequest{id, static_cast<std::uint32_t>(signal)});
}

void DomainLink::forget(std::uint32_t id) {
  programs_.erase(id);
  forget_from(id, 0);
}

void DomainLink::forget_from(std::uint32_t id, std::uint32_t first) {
  if (!lost_) send(wire::ForgetRequest{id, first});
}

void DomainLink::send(const wire::InitRequest& request) noexcept {
  try {
    channel_.send(wire::encode(request));
  } catch (const Error&) {
    // The domain is gone, and all in it: serve() has not come to it yet.
  }
}

}  // namespace cellar::cell
