// Programs in the background of a cell.

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "cell/cell.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

// The daemon's memory holds it, while the cell sleeps, too.
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
    // The domain had ended and the loop had not come to it yet: the program has not begun.
    if (error.reason() != "domain_lost") throw;
  }
  co_return co_await start_in_shell(std::move(request));
}

asio::awaitable<std::shared_ptr<Process>> Cell::start_in_shell(ProcessRequest request) {
  DiskQuota::Use disk = quota_.begin_use();
  CommandPlace place = co_await shell_place(request.command);
  auto process = std::make_shared<Process>(machine_.executor, "p" + std::to_string(place.number),
                                           std::move(request), place);
  std::exception_ptr failure;
  try {
    co_await process->start();
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
  domains_.leave(place);
  if (spec_.runtime == sandbox::Runtime::gvisor) has_untold_changes_ = true;
  const ProcessView view = process->view();
  json::Value end =
      json::object({{"id", view.id}, {"command", view.command}, {"exit_code", view.exit_code}});
  if (view.signal) end.as_object().set("signal", *view.signal);
  if (view.lost) end.as_object().set("lost_by", name_of(*view.lost));
  tell("process.exited", std::move(end));
  forget_old_processes();
  if (failure) std::rethrow_exception(failure);
}

void Cell::forget_old_processes() {
  const auto has_ended = [](const auto& process) { return process->has_ended(); };
  auto ended_count = std::count_if(processes_.begin(), processes_.end(), has_ended);
  std::erase_if(processes_, [&](const auto& process) {
    return has_ended(process) && ended_count-- > static_cast<std::ptrdiff_t>(kProcessesMax);
  });
  std::vector<std::shared_ptr<Process>> ended;
  std::copy_if(processes_.begin(), processes_.end(), std::back_inserter(ended), has_ended);
  const auto later = [](const auto& a, const auto& b) { return a->ended_at() > b->ended_at(); };
  std::sort(ended.begin(), ended.end(), later);
  std::size_t kept = 0;
  for (const auto& process : ended) {
    kept += process->output().size();
    if (kept > kOutputOfEndedMax) process->forget_output();
  }
}

std::shared_ptr<Process> Cell::process(std::string_view id) const {
  const auto found = std::find_if(processes_.begin(), processes_.end(),
                                  [id](const auto& process) { return process->id() == id; });
  if (found == processes_.end()) {
    throw Error(
        ErrorCode::not_found, "process_not_found",
        "cell " + spec_.cell_id + " has no process \"" + std::string(id) + "\"",
        "it may have ended with the daemon or long ago: GET …/processes lists those it has");
  }
  return *found;
}

asio::awaitable<void> Cell::remove_process(std::string id) {
  const std::shared_ptr<Process> process = this->process(id);
  process->kill();
  co_await process->ended();
  std::erase(processes_, process);
}

}  // namespace cellar::cell
