// A WebSocket that is a process's input and output: bytes are bytes, texts are JSON about them.

#include <deque>

#include "api/cell_token.h"
#include "api/errors.h"
#include "api/processes.h"
#include "api/views.h"
#include "async/event.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "base/error.h"
#include "http/head.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

// That the process has not read yet; more is refused.
constexpr std::size_t kTypedBytesMax = 1 << 20;
constexpr std::size_t kTypedMax = 64 << 10;

// One client at a process.
class Viewer {
 public:
  Viewer(const asio::any_io_executor& executor, ProcessPtr process, http::WebSocket& socket,
         std::string request_id, std::function<bool()> may_go_on)
      : process_(std::move(process)),
        socket_(socket),
        may_go_on_(std::move(may_go_on)),
        request_id_(std::move(request_id)),
        sends_(executor),
        typed_more_(executor),
        tasks_(executor) {}

  // Until one of both goes.
  asio::awaitable<void> serve(std::uint64_t place) {
    tasks_.spawn(show(place));
    tasks_.spawn(write_typed());
    std::exception_ptr failure;
    try {
      while (auto message = co_await socket_.read()) {
        if (!may_go_on_()) break;  // show() tells.
        co_await take(*std::move(message));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await tasks_.close();
    if (failure) std::rethrow_exception(failure);
  }

 private:
  using Message = http::WebSocket::Message;

  // All that it wrote from `place` on, and how it ended.
  asio::awaitable<void> show(std::uint64_t place) {
    const cell::OutputLog& output = process_->output();
    for (;;) {
      if (!may_go_on_()) co_return co_await leave();
      if (place < output.first()) {
        place = output.first();
        json::Value stale = json::object({{"type", "stale"}, {"place", place}});
        co_await send(text_of(stale));
      }
      if (const auto piece = output.read(place)) {
        place = piece->end();
        Message message;
        message.bytes = piece->bytes;
        co_await send(std::move(message));
      } else if (process_->has_ended()) {
        break;
      } else {
        co_await process_->advanced(place, kHeartbeat);
      }
    }
    json::Value end = process_json(process_->view());
    end.as_object().set("type", "exit");
    has_told_end_ = true;
    co_await send(text_of(end));
    const auto turn = co_await sends_.turn();
    co_await socket_.close();
  }

  // Its key is over: it sees and types nothing more. The process goes on.
  asio::awaitable<void> leave() {
    const Error error = key_ended();
    co_await tell(error);
    const auto turn = co_await sends_.turn();
    co_await socket_.close();
  }

  // A process that reads nothing does not keep its client from being heard.
  asio::awaitable<void> write_typed() {
    for (;;) {
      while (typed_.empty()) {
        typed_more_.reset();
        co_await typed_more_.wait();
      }
      std::optional<std::string> bytes = std::move(typed_.front());
      typed_.pop_front();
      const std::size_t size = bytes ? bytes->size() : 0;
      std::optional<Error> failure;
      try {
        if (bytes) {
          co_await process_->write(*std::move(bytes));
        } else {
          co_await process_->end_input();
        }
      } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) throw;
        failure = error;
      }
      typed_bytes_ -= size;
      if (failure) co_await tell(*failure);
    }
  }

  asio::awaitable<void> take(Message message) {
    std::optional<Error> failure;
    try {
      if (message.is_text) {
        obey(message.bytes);
      } else {
        type(std::move(message.bytes));
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      failure = error;
    }
    if (failure) co_await tell(*failure);
  }

  void type(std::string bytes) {
    if (typed_bytes_ + bytes.size() > kTypedBytesMax) {
      throw Error(ErrorCode::exhausted, "input_full",
                  "the process does not read: " + std::to_string(bytes.size()) +
                      " bytes of its input are left out",
                  "send less at once, or wait until it reads");
    }
    const std::size_t size = bytes.size();
    put(std::move(bytes));
    typed_bytes_ += size;
  }

  void put(std::optional<std::string> typed) {
    if (typed_.size() == kTypedMax) {
      throw Error(ErrorCode::exhausted, "input_full", "the process does not read its input",
                  "wait until it reads");
    }
    typed_.push_back(std::move(typed));
    typed_more_.set();
  }

  // {"type": "resize", "columns"?, "rows"?}, {"type": "signal", "signal"} or {"type": "end"}.
  void obey(const std::string& text) {
    const json::Value value = json::parse(text);
    const json::Reader frame(value, "a text frame");
    const std::string type = frame.required_string("type");
    if (type == "resize") {
      process_->resize(cell::read_size(frame));
    } else if (type == "signal") {
      const int signal = cell::parse_signal(frame.required_value("signal"));
      frame.refuse_unknown();
      process_->signal(signal);
    } else if (type == "end") {
      frame.refuse_unknown();
      put(std::nullopt);
    } else {
      json::Reader::refuse("type", "resize, signal or end");
    }
  }

  static Message text_of(const json::Value& value) { return {true, json::dump(value)}; }

  // What it does not take is told, and nothing ends for it.
  asio::awaitable<void> tell(const Error& error) {
    if (has_told_end_) co_return;  // Behind that nothing comes.
    json::Value told = json::parse(error_in_stream(error, request_id_));
    told.as_object().set("type", "error");
    co_await send(text_of(told));
  }

  asio::awaitable<void> send(Message message) {
    const auto turn = co_await sends_.turn();
    co_await socket_.send(std::move(message));
  }

  ProcessPtr process_;
  http::WebSocket& socket_;
  std::function<bool()> may_go_on_;
  std::string request_id_;
  async::Serial sends_;
  std::deque<std::optional<std::string>> typed_;  // nullopt: the end
  std::size_t typed_bytes_ = 0;                   // in typed_, and on its way
  bool has_told_end_ = false;
  async::Event typed_more_;
  async::TaskGroup tasks_;
};

}  // namespace

asio::awaitable<void> attach(const Call& call) {
  const auto cell = call.cell();
  ProcessPtr process = process_in(call, *cell);
  co_await process->load_output();
  const std::uint64_t place = place_in(call, *process);
  if (!call.exchange.wants_web_socket()) {
    throw Error(ErrorCode::invalid_argument, "web_socket_required", "this is for WebSockets only",
                "connect with a WebSocket client, or use …/log and …/stdin");
  }
  http::check_web_socket(call.exchange.fields());
  const auto activity = co_await cell->use("terminal", process->id());
  std::string protocol = answered_protocol(call.exchange.request());
  const auto socket = co_await call.exchange.accept_web_socket(std::move(protocol));
  Viewer viewer(co_await asio::this_coro::executor, std::move(process), *socket, call.request_id,
                call.may_go_on);
  co_await viewer.serve(place);
}

}  // namespace cellar::api
