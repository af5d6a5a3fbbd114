// A terminal here that is the terminal of a process there.

#include <unistd.h>

#include <exception>
#include <thread>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "json/json.h"
#include "sys/typing.h"

namespace cellar::cli {
namespace {

constexpr char kLeave = '\x1d';                      // Ctrl+]
constexpr std::chrono::milliseconds kQuiet{60'000};  // The daemon writes a comment every 15 s.

// Shows what the process writes, on a connection and in a thread of its own, until it ends or
// leave() is called.
class Screen {
 public:
  Screen(const ProcessRef& process, Context& context, sys::Typing& typing)
      : process_(process),
        output_(context.output),
        client_(context.url, context.api_key),
        api_(client_),
        typing_(typing),
        thread_([this] { show(); }) {}
  ~Screen() {
    client_.end();
    if (thread_.joinable()) thread_.join();
  }

  // Waits until it has ended.
  void wait() { thread_.join(); }
  // What the process was when it ended; nullopt where it goes on. Throws what ended the connection.
  // Nothing is shown any more.
  std::optional<json::Value> leave() {
    client_.end();
    if (thread_.joinable()) thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    return end_;
  }

 private:
  void show() {
    const Following following{.request =
                                  [this] {
                                    return Request{
                                        .path = process_path(process_, "/log?after=" + after_),
                                        .headers = {kAcceptEvents},
                                        .idle_max = kQuiet};
                                  },
                              .take = [this](const StreamEvent& event) { take(event); },
                              .is_done = [this] { return end_ || client_.has_ended(); }};
    try {
      follow(api_, following);
    } catch (...) {
      failure_ = std::current_exception();
    }
    typing_.end();
  }

  void take(const StreamEvent& event) {
    after_ = event.id;
    const json::Value data = json::parse(event.data);
    if (event.type == "stdout" || event.type == "stderr") output_.write(bytes_of(data));
    if (event.type == "exit") end_ = data;
  }

  const ProcessRef& process_;
  Output& output_;
  Client client_;
  Api api_;
  sys::Typing& typing_;
  std::string after_ = "0";
  std::optional<json::Value> end_;
  std::exception_ptr failure_;
  std::thread thread_;
};

// Types at the process until it ends, or Ctrl+] is typed.
void type_at(const ProcessRef& process, sys::Typing& typing, Api& api) {
  const std::string input = process_path(process, "/stdin");
  const std::string resize = process_path(process, "/resize");
  api.post(resize, to_json(typing.size()));
  for (;;) {
    const sys::Typing::Event event = typing.next();
    if (event.ended) return;
    if (event.resized) {
      api.post(resize, to_json(typing.size()));
      continue;
    }
    const std::size_t leave = event.bytes.find(kLeave);
    if (leave != 0) send_input(input, event.bytes.substr(0, leave), api);
    if (leave != event.bytes.npos) return;
  }
}

// What the process was when it ended; nullopt where it was left.
std::optional<json::Value> use_terminal(const ProcessRef& process, Context& context) {
  sys::Typing typing(context.in);
  Screen screen(process, context, typing);
  try {
    type_at(process, typing, context.api);
  } catch (const Error& error) {
    if (error.reason() != "process_ended" && error.reason() != "no_input") throw;
    screen.wait();  // It has ended under the typing: the rest of what it wrote, and how.
  }
  return screen.leave();
}

int finish_use(const ProcessRef& process, const std::optional<json::Value>& end, Output& output) {
  if (end) return finish(*end, output);
  output.note("it goes on: cellar attach " + process.cell_id + " " + process.process_id);
  return 0;
}

}  // namespace

int run(const Attach& command, Context& context) {
  const auto end = use_terminal(command.process, context);
  return finish_use(command.process, end, context.output);
}

int run(const Shell& command, Context& context) {
  // Before anything is started: that this is a terminal.
  const sys::TerminalSize size = sys::Typing(context.in).size();
  const json::Value process = start_process(command.start, size, context.api);
  const ProcessRef ref{command.start.cell_id, column(process, "id")};
  const auto end = use_terminal(ref, context);
  if (end) context.api.remove(process_path(ref));
  return finish_use(ref, end, context.output);
}

}  // namespace cellar::cli
