// Programs in the background of a cell.

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "cell/cell.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

// The daemon's memory holds what somebody asked for, while the cell sleeps, too.
constexpr std::size_t kOutputOfEndedMax = 8 << 20;

// Counts one as long as it lives.
class Counted {
 public:
  explicit Counted(std::size_t& count) noexcept : count_(count) { ++count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count_; }

 private:
  std::size_t& count_;
};

}  // namespace

asio::awaitable<std::shared_ptr<Process>> Cell::start_process(ProcessRequest request) {
  require_open();
  const auto running_count = static_cast<std::size_t>(
      std::count_if(processes_.begin(), processes_.end(),
                    [](const auto& process) { return !process->has_ended(); }));
  if (running_count + starting_count_ >= kProcessesMax) {
    throw Error(ErrorCode::exhausted, "too_many_processes",
                "the cell has " + std::to_string(kProcessesMax) + " processes in the background",
                "end one of them, or start several from one command");
  }
  const Counted starting(starting_count_);
  try {
    co_return co_await start_in_shell(request);
  } catch (const Error& error) {
    if (!Domains::has_not_begun(error)) throw;
  }
  co_await wake(Needs::shell);
  co_return co_await start_in_shell(std::move(request));
}

asio::awaitable<std::shared_ptr<Process>> Cell::start_in_shell(ProcessRequest request) {
  DiskQuota::Use disk = quota_.begin_use();
  CommandPlace place = co_await shell_place(request.command);
  auto process = std::make_shared<Process>(process_home_, place);
  std::exception_ptr failure;
  try {
    co_await process->start(std::move(request));
    require_open();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    domains_.leave(place);
    std::rethrow_exception(failure);
  }
  processes_.push_back(process);
  const ProcessView view = process->view();
  tell("process.started",
       json::object({{"id", view.id}, {"command", view.command}, {"pid", view.pid}}));
  attending_.spawn(attend(process, std::move(place), std::move(disk)));
  co_return process;
}

asio::awaitable<void> Cell::attend(std::shared_ptr<Process> process, CommandPlace place,
                                   DiskQuota::Use /*disk*/) {
  std::exception_ptr failure;
  try {
    co_await Process::run(process);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!process->has_ended()) std::rethrow_exception(failure);  // The next daemon attends to it.
  domains_.leave(place);
  if (spec_.runtime == sandbox::Runtime::gvisor) has_untold_changes_ = true;
  tell_process_end(*process);
  if (failure) std::rethrow_exception(failure);
  co_await forget_old_processes();
}

void Cell::tell_process_end(const Process& process) {
  const ProcessView view = process.view();
  json::Value end =
      json::object({{"id", view.id}, {"command", view.command}, {"exit_code", view.exit_code}});
  if (view.signal) end.as_object().set("signal", *view.signal);
  if (view.lost) end.as_object().set("lost_by", name_of(*view.lost));
  tell("process.exited", std::move(end));
}

// ---- those of an earlier daemon ----

void Cell::find_processes(std::vector<ProcessRecord> records) {
  for (ProcessRecord& record : records) {
    auto process = std::make_shared<Process>(process_home_, std::move(record));
    processes_.push_back(process);
    if (!process->has_ended()) unattended_.push_back(std::move(process));
  }
}

asio::awaitable<void> Cell::adopt_processes() {
  if (unattended_.empty()) co_return;
  std::vector<DomainLink::KeptProgram> kept;
  try {
    kept = co_await domains_.take_kept();
  } catch (const Error& error) {
    // Where their domain is there still, the daemon lacks something: they are looked for again.
    const bool may_be_there = error.code() == ErrorCode::exhausted && domains_.any_alive();
    if (error.code() == ErrorCode::canceled || may_be_there) throw;
    log::warning("cell {}: its processes are lost: {}", log::cell(spec_.cell_id), error.what());
  }
  for (const auto& process : std::exchange(unattended_, {})) {
    const auto found = std::find_if(kept.begin(), kept.end(), [&](const auto& program) {
      return program.id == process->record().program && process->record().outlives_daemon;
    });
    if (found != kept.end()) {
      const bool is_adopted = co_await try_adopt(process, std::move(*found));
      kept.erase(found);
      if (is_adopted) continue;
    }
    if (process->record().pid != 0) {
      co_await lose_process(process, LostBy::daemon);
    } else {  // It has not begun, and nobody was told of it.
      std::erase(processes_, process);
      co_await process->remove();
    }
  }
  for (DomainLink::KeptProgram& program : kept) {
    program.fds.clear();  // While cell-init has them: who closes them last may wait (pipe_end.h).
    domains_.end_kept(program.id);
  }
}

asio::awaitable<bool> Cell::try_adopt(std::shared_ptr<Process> process,
                                      DomainLink::KeptProgram kept) {
  const ProcessRecord& record = process->record();
  CommandPlace place = domains_.place_of_kept(record.number, kept.id, record.joined);
  DiskQuota::Use disk = quota_.begin_use();
  std::optional<Error> failure;
  try {
    co_await process->adopt(place, std::move(kept));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = error;
  }
  if (failure) {
    log::warning("cell {}: process {} is lost: {}", log::cell(spec_.cell_id), process->id(),
                 failure->what());
    domains_.leave(place);
    domains_.end_kept(record.program);
    co_return false;
  }
  attending_.spawn(attend(std::move(process), std::move(place), std::move(disk)));
  co_return true;
}

asio::awaitable<void> Cell::lose_process(std::shared_ptr<Process> process, LostBy why) {
  domains_.programs().lose(process->record().number, why);
  co_await process->lose(why);
  tell_process_end(*process);
}

asio::awaitable<void> Cell::lose_unattended(LostBy why) {
  for (const auto& process : std::exchange(unattended_, {})) co_await lose_process(process, why);
}

// At once, as far as anybody sees.
asio::awaitable<void> Cell::forget_old_processes() {
  std::vector<std::shared_ptr<Process>> ended;
  std::copy_if(processes_.begin(), processes_.end(), std::back_inserter(ended),
               [](const auto& process) { return process->has_ended(); });
  const auto later = [](const auto& a, const auto& b) {
    const auto when = [](const ProcessRecord& record) {
      return std::make_pair(record.end->at, record.number);
    };
    return when(a->record()) > when(b->record());
  };
  std::sort(ended.begin(), ended.end(), later);
  std::vector<std::shared_ptr<Process>> old;
  for (std::size_t i = kProcessesMax; i < ended.size(); ++i) {
    std::erase(processes_, ended[i]);
    old.push_back(ended[i]);
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < std::min(kProcessesMax, ended.size()); ++i) {
    const ProcessView view = ended[i]->view();
    kept += view.output_next - view.output_first;
    if (kept > kOutputOfEndedMax) co_await ended[i]->forget_output();
  }
  for (const auto& process : old) co_await process->remove();
}

std::shared_ptr<Process> Cell::process(std::string_view id) const {
  const auto found = std::find_if(processes_.begin(), processes_.end(),
                                  [id](const auto& process) { return process->id() == id; });
  if (found == processes_.end()) {
    throw Error(ErrorCode::not_found, "process_not_found",
                "cell " + spec_.cell_id + " has no process \"" + std::string(id) + "\"",
                "it may have ended long ago: GET …/processes lists those it has");
  }
  return *found;
}

asio::awaitable<void> Cell::remove_process(std::string id) {
  const std::shared_ptr<Process> process = this->process(id);
  process->kill();
  co_await process->ended();
  if (std::erase(processes_, process) > 0) co_await process->remove();
}

}  // namespace cellar::cell
