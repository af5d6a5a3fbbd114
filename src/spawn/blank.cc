#include "spawn/blank.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "sandbox/perform.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/process.h"
#include "sys/seqpacket.h"

namespace cellar::spawn {
namespace {

constexpr int kFirst = 3;  // as init/blank.h names them: 3 the spawner, 4 the filter
constexpr int kAside = 100;
constexpr const char* kHeldNamespaces[] = {"mnt", "net", "ipc"};

// A new open file for the same bytes: offsets are not shared.
sys::Fd reopen(int fd) { return sys::open_file("/proc/self/fd/" + std::to_string(fd), O_RDONLY); }

// In the child, which is a copy of the spawner: ends in cell-init or not at all.
[[noreturn]] void become_init(int socket, int filter, int program) {
  // In the spawner's session it would be continued where it stands still when the spawner ends.
  ::setsid();
  const int aside[] = {::fcntl(socket, F_DUPFD_CLOEXEC, kAside),
                       ::fcntl(filter, F_DUPFD_CLOEXEC, kAside)};
  const int executable = ::fcntl(program, F_DUPFD_CLOEXEC, kAside);
  const bool placed = ::dup2(aside[0], kFirst) != -1 && ::dup2(aside[1], kFirst + 1) != -1;
  if (placed && ::close_range(kFirst + 2, kAside - 1, 0) == 0) {
    const char* const arguments[] = {"cell-init", nullptr};
    const char* const environment[] = {nullptr};
    ::fexecve(executable, const_cast<char* const*>(arguments),
              const_cast<char* const*>(environment));
  }
  ::_exit(1);
}

}  // namespace

Blank::Blank(const Programs& programs, const sandbox::DomainGroups& groups) {
  auto [ours, theirs] = sys::seqpacket_pair();
  const sys::Fd filter = reopen(programs.filter.get());
  init_ = sys::fork_into_namespaces();
  if (init_.pid == 0) become_init(theirs.get(), filter.get(), programs.init.get());
  socket_ = std::move(ours);
  const std::string folder = "/proc/" + std::to_string(init_.pid) + "/ns/";
  for (const char* name : kHeldNamespaces) {
    namespaces_.push_back(sys::open_file(folder + name, O_RDONLY));
  }
  sys::send_message(socket_.get(), sandbox::encode(sandbox::Prepare{groups}));
}

Blank::~Blank() {
  if (init_.process) sys::kill_process(init_.process.get());
}

Blank& Blank::operator=(Blank&& other) noexcept {
  Blank taken(std::move(other));
  std::swap(init_, taken.init_);
  std::swap(socket_, taken.socket_);
  std::swap(namespaces_, taken.namespaces_);
  std::swap(task_, taken.task_);
  std::swap(connection_, taken.connection_);
  std::swap(ready_, taken.ready_);
  return *this;
}

bool Blank::check() {
  try {
    bool would_block = false;
    const auto message = sys::receive_message(socket_.get(), sys::Wait::no, &would_block);
    if (would_block) return true;
    ready_ = message && message->bytes == sandbox::kBlankDone && !ready_;
    return ready_;
  } catch (const Error&) {
    return false;
  }
}

void Blank::assign(const sandbox::DomainSpec& spec, const sandbox::Image& image, int user_namespace,
                   const std::string& socket_path) {
  const std::filesystem::path path(socket_path);
  Task task{{spec, image, path.filename().string()}, {}};
  auto [ours, theirs] = sys::seqpacket_pair();
  task.fds.push_back(sys::duplicate(user_namespace));
  task.fds.push_back(std::move(theirs));
  task.fds.push_back(sys::seqpacket_socket());
  task.fds.push_back(sys::open_file(path.parent_path().string(), O_PATH | O_DIRECTORY));
  for (const sandbox::Step& step : sandbox::plan_for(spec, image)) {
    const auto* source = std::get_if<sandbox::OpenSource>(&step);
    if (source != nullptr) task.fds.push_back(sandbox::open_source(*source, user_namespace));
  }
  connection_ = std::move(ours);
  task_ = std::move(task);
}

void Blank::send_task() {
  const Task task = std::move(*task_);
  task_.reset();
  std::vector<int> fds;
  for (const sys::Fd& fd : task.fds) fds.push_back(fd.get());
  sys::send_message(socket_.get(), sandbox::encode(sandbox::BlankRequest(task.what)), fds);
}

// It is told nothing before it is ready: where it had ended with that unread, the kernel would tell
// of the loss instead of what it has said.
bool Blank::advance() {
  if (!ready_ || !task_) {
    bool would_block = false;
    const auto answer = sys::receive_message(socket_.get(), sys::Wait::no, &would_block);
    if (would_block) return false;
    if (!answer) throw Error(ErrorCode::internal, "cell-init has ended");
    if (answer->bytes != sandbox::kBlankDone) throw Error(ErrorCode::internal, answer->bytes);
    if (ready_) return true;
    ready_ = true;
  }
  send_task();
  return false;
}

Blank::Domain Blank::leave() {
  return {init_.pid, std::move(init_.process), std::move(namespaces_), std::move(connection_)};
}

}  // namespace cellar::spawn
