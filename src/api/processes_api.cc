// Programs in the background of a cell: started, watched, written to, ended.

#include <fmt/format.h>

#include <algorithm>

#include "api/api.h"
#include "api/errors.h"
#include "api/processes.h"
#include "api/views.h"
#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

using cell::OutputLog;

constexpr std::size_t kInputBytesMax = 1 << 20;  // of one call
constexpr std::chrono::seconds kInputLimit{5};   // until it has taken them

const char* name_of(OutputLog::Stream stream) {
  return stream == OutputLog::Stream::out ? "stdout" : "stderr";
}

asio::awaitable<void> list_processes(const Call& call) {
  const auto cell = call.cell();
  json::Array processes;
  for (const ProcessPtr& process : cell->processes()) {
    processes.push_back(process_json(process->view()));
  }
  json::Value answer = json::object({{"processes", std::move(processes)}});
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> start_process(const Call& call) {
  const auto cell = call.cell();
  cell::ProcessRequest request = co_await call.read_text(kSmallBodyMax, cell::parse_process);
  const auto activity = co_await cell->use("request", "start a process", cell::Cell::Needs::shell);
  const ProcessPtr process = co_await cell->start_process(std::move(request));
  co_await call.answer(process_json(process->view()), 201);
}

asio::awaitable<void> get_process(const Call& call) {
  const auto cell = call.cell();
  co_await call.answer(process_json(process_in(call, *cell)->view()));
}

asio::awaitable<void> remove_process(const Call& call) {
  const auto cell = call.cell();
  const ProcessPtr process = process_in(call, *cell);
  const auto activity = co_await cell->use("request", "end a process");
  co_await cell->remove_process(process->id());
  co_await call.answer_nothing();
}

// What is kept from a place on, then what comes, until it ends.
asio::awaitable<void> stream_output(const Call& call, const ProcessPtr& process,
                                    std::uint64_t place) {
  http::Response head = event_stream_head();
  head.body = "retry: 1000\n\n";
  co_await call.exchange.start_stream(std::move(head));
  for (;;) {
    std::string text;
    if (place < process->output().first()) {
      const std::uint64_t first = process->output().first();
      text = "id: " + std::to_string(first) + "\n" +
             stream_event("stale", json::dump(json::object({{"after", place}})));
      place = first;
    }
    if (const auto piece = process->output().read(place)) {
      place = piece->end();
      text += "id: " + std::to_string(place) + "\n" +
              stream_event(name_of(piece->stream), json::dump(cell::output_json(piece->bytes)));
    } else if (process->has_ended() && text.empty()) {
      break;
    }
    if (!text.empty()) {
      co_await call.exchange.send(std::move(text));
      continue;
    }
    const bool advanced = co_await process->advanced(place, call.heartbeat());
    if (!advanced) co_await call.exchange.send(std::string(kHeartbeatComment));
  }
  const std::string end = json::dump(process_json(process->view()));
  co_await call.exchange.send(stream_event("exit", end));
  co_await call.exchange.finish();
}

asio::awaitable<void> read_output(const Call& call) {
  const auto cell = call.cell();
  const ProcessPtr process = process_in(call, *cell);
  co_await process->load_output();
  std::uint64_t place = place_in(call, *process);
  const auto activity = co_await cell->use("stream", "output of " + process->id());
  if (call.wants_events()) {
    co_await stream_output(call, process, place);
    co_return;
  }
  const std::uint64_t first = process->output().first();
  json::Array pieces;
  while (const auto piece = process->output().read(place)) {
    json::Value value = cell::output_json(piece->bytes);
    value.as_object().set("stream", name_of(piece->stream));
    value.as_object().set("begin", piece->begin);
    pieces.push_back(std::move(value));
    place = piece->end();
  }
  json::Value answer = json::object({{"output", std::move(pieces)},
                                     {"first", first},
                                     {"next", std::max(place, first)},
                                     {"ended", process->has_ended()}});
  co_await call.answer(std::move(answer));
}

// `taken` is for programs: what has to be sent again is the rest.
asio::awaitable<void> answer_not_taken(const Call& call, const cell::Process& process,
                                       std::size_t taken, std::size_t size) {
  const Error error(ErrorCode::timed_out, "input_not_taken",
                    fmt::format("process {} took {} of {} bytes within {} s", process.id(), taken,
                                size, kInputLimit.count()),
                    "send the rest again, once the process reads");
  json::Value body = json::parse(error_body(error, call.request_id));
  body.as_object().set("taken", taken);
  body.as_object().set("retryable", false);  // Not as it was.
  co_await call.answer(std::move(body), status_of(error));
}

// The body as it is; ?end=1: nothing follows it.
asio::awaitable<void> write_input(const Call& call) {
  const auto cell = call.cell();
  const ProcessPtr process = process_in(call, *cell);
  const bool is_end = call.query_flag("end");
  std::string bytes;
  if (call.exchange.has_body()) bytes = co_await call.exchange.read_body(kInputBytesMax);
  const auto activity = co_await cell->use("request", "input of " + process->id());
  const std::size_t size = bytes.size();
  const std::size_t taken =
      size == 0 ? 0 : co_await process->write_within(std::move(bytes), kInputLimit);
  if (taken < size) {
    co_await answer_not_taken(call, *process, taken, size);
    co_return;
  }
  if (is_end) co_await process->end_input();
  co_await call.answer_nothing();
}

// {"signal": "SIGTERM"}
asio::awaitable<void> send_signal(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  const int signal = cell::parse_signal(body.required_value("signal"));
  body.refuse_unknown();
  const ProcessPtr process = process_in(call, *cell);
  const auto activity = co_await cell->use("request", "a signal for " + process->id());
  process->signal(signal);
  co_await call.answer_nothing();
}

// {"columns"?, "rows"?}
asio::awaitable<void> resize_terminal(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const sys::TerminalSize size = cell::read_size(json::Reader(value, "the body"));
  const ProcessPtr process = process_in(call, *cell);
  const auto activity = co_await cell->use("request", "the size of " + process->id());
  process->resize(size);
  co_await call.answer_nothing();
}

}  // namespace

ProcessPtr process_in(const Call& call, const cell::Cell& cell) {
  return cell.process(call.params.at("process"));
}

std::uint64_t place_in(const Call& call, const cell::Process& process) {
  const std::uint64_t place = call.events_after().value_or(0);
  if (place > process.output().next()) {
    throw Error(ErrorCode::invalid_argument, "invalid_query",
                "\"after\" must be at most " + std::to_string(process.output().next()) +
                    ", what the process has written");
  }
  return place;
}

json::Value process_json(const cell::ProcessView& view) {
  json::Value value = json::object({{"id", view.id},
                                    {"command", view.command},
                                    {"pid", view.pid},
                                    {"terminal", view.has_terminal},
                                    {"status", view.ended_at ? "exited" : "running"},
                                    {"started_at", to_iso8601(view.started_at)},
                                    {"output_first", view.output_first},
                                    {"output_next", view.output_next}});
  if (!view.ended_at) return value;
  json::Object& members = value.as_object();
  members.set("ended_at", to_iso8601(*view.ended_at));
  members.set("exit_code", view.exit_code);
  members.set("timed_out", view.timed_out);
  if (view.signal) members.set("signal", *view.signal);
  if (view.lost) {
    members.set("lost", true);
    members.set("lost_by", cell::name_of(*view.lost));
  }
  return value;
}

std::vector<Route> process_routes() {
  const std::string all = "/api/v1/cells/{id}/processes";
  const std::string one = all + "/{process}";
  return {{"GET", all, list_processes},
          {"POST", all, start_process},
          {"GET", one, get_process},
          {"DELETE", one, remove_process},
          {"GET", one + "/log", read_output},
          {"GET", one + "/attach", attach, cell::Scope::write},
          {"POST", one + "/stdin", write_input},
          {"POST", one + "/signal", send_signal},
          {"POST", one + "/resize", resize_terminal}};
}

}  // namespace cellar::api
