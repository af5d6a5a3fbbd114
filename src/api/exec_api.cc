// Commands.

#include <deque>
#include <memory>
#include <utility>

#include "api/api.h"
#include "api/errors.h"
#include "async/event.h"
#include "async/task_group.h"
#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

std::string output_event(std::string_view stream, std::string_view bytes) {
  return stream_event(stream, json::dump(cell::output_json(bytes)));
}

// A command on its way and what the client has not got yet.
struct Streaming {
  explicit Streaming(const asio::any_io_executor& executor) : changed(executor), tasks(executor) {}
  std::deque<std::string> chunks;
  // The place of its output: taken until the client has got all of that.
  std::shared_ptr<cell::OutputRoom::Held> held;
  bool ended = false;
  async::Event changed;
  async::TaskGroup tasks;
};

// What a command gave, as `write` has it of the result.
template <typename Write>
asio::awaitable<std::string> written(const Call& call, cell::CommandResult result, Write write) {
  const std::size_t size = result.stdout_bytes.size() + result.stderr_bytes.size();
  auto work = [result = std::move(result), write] { return write(result); };
  co_return co_await call.work_on(size, std::move(work));
}

std::string exit_event(const cell::CommandResult& result) {
  return stream_event("exit", cell::encode(result, cell::Names::rest));
}

std::string exit_answer(const cell::CommandResult& result) {
  return cell::encode(result, cell::Names::rest);
}

// What it is given must outlive it.
asio::awaitable<void> run_streaming(const Call& call, Streaming& streaming, cell::Cell& cell,
                                    cell::CommandRequest request) {
  auto on_output = [&streaming](std::string_view stream, std::string_view bytes) {
    streaming.chunks.push_back(output_event(stream, bytes));
    streaming.changed.set();
  };
  try {
    cell::CommandResult result = co_await cell.exec(std::move(request), on_output);
    streaming.held = std::move(result.held);  // It is given back here, not on the pool.
    streaming.chunks.push_back(co_await written(call, std::move(result), exit_event));
  } catch (const Error& error) {
    // Also where it was canceled: by the end of its cell, say, which its client has to be told.
    const bool is_canceled = error.code() == ErrorCode::canceled;
    const Error told = is_canceled ? ended_meanwhile() : error;
    streaming.chunks.push_back(stream_event("error", error_in_stream(told, call.request_id)));
  }
  streaming.ended = true;
  streaming.changed.set();
}

// What a command prints has its place already (OutputRoom): in pieces this small it needs no other,
// which would be refused, and end the command, where too many clients take nothing.
asio::awaitable<void> send_in_pieces(const Call& call, std::string_view chunk) {
  constexpr std::size_t kPieceBytes = 32 << 10;
  for (std::size_t at = 0; at < chunk.size(); at += kPieceBytes) {
    co_await call.exchange.send(std::string(chunk.substr(at, kPieceBytes)));
  }
}

asio::awaitable<void> send_all(const Call& call, Streaming& streaming) {
  co_await call.exchange.start_stream(event_stream_head());
  for (;;) {
    while (!streaming.chunks.empty()) {
      const std::string chunk = std::move(streaming.chunks.front());
      streaming.chunks.pop_front();
      co_await send_in_pieces(call, chunk);
    }
    if (streaming.ended) break;
    streaming.changed.reset();
    const bool in_time = co_await streaming.changed.wait_for(call.heartbeat());
    if (!in_time) co_await call.exchange.send(std::string(kHeartbeatComment));
  }
  co_await call.exchange.finish();
}

asio::awaitable<void> exec_streaming(const Call& call, cell::Cell& cell,
                                     cell::CommandRequest request) {
  Streaming streaming(co_await asio::this_coro::executor);
  streaming.tasks.spawn(run_streaming(call, streaming, cell, std::move(request)));
  std::exception_ptr failure;
  try {
    co_await send_all(call, streaming);
  } catch (...) {
    failure = std::current_exception();
  }
  // The client left: what it started ends with it.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await streaming.tasks.close();
  if (failure) std::rethrow_exception(failure);
}

cell::CommandRequest read_command(const std::string& body) {
  return cell::parse_command(body, cell::Names::rest);
}

asio::awaitable<void> exec(const Call& call) {
  const auto cell = call.cell();
  cell::CommandRequest request = co_await call.read_text(kBodyMax * 2, read_command);
  const auto activity =
      co_await cell->use("command", request.argv.back().substr(0, 80), cell::Cell::Needs::shell);
  if (call.wants_events()) {
    co_await exec_streaming(call, *cell, std::move(request));
    co_return;
  }
  cell::OnOutput nobody;
  cell::CommandResult result = co_await cell->exec(std::move(request), std::move(nobody));
  const auto held = std::move(result.held);  // Until the client has got all.
  std::string text = co_await written(call, std::move(result), exit_answer);
  co_await call.answer_text(std::move(text));
}

}  // namespace

std::vector<Route> exec_routes() { return {{"POST", "/api/v1/cells/{id}/exec", exec}}; }

}  // namespace cellar::api
