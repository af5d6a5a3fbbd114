// The Model Context Protocol at standard input and output: each line is a message, and goes to the
// daemon's /mcp.

#include <chrono>
#include <future>
#include <list>
#include <mutex>

#include "base/error.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/event_stream.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kMessageBytesMax = 16 << 20;
constexpr std::size_t kPieceBytesMax = 64 << 10;
constexpr std::size_t kRequestsMax = 64;  // that wait for their answers
constexpr int kServerError = -32000;      // JSON-RPC leaves it to servers

std::string text_in(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  return member != nullptr && member->is_string() ? member->as_string() : std::string();
}

std::string rpc_error(const json::Value& id, const std::string& message) {
  return json::dump(
      json::object({{"jsonrpc", "2.0"},
                    {"id", id},
                    {"error", json::object({{"code", kServerError}, {"message", message}})}}));
}

// Requests go on at the same time, each in a thread and on a connection of its own, so that one
// can be cancelled; what they have to know of the first one waits for that.
class Bridge {
 public:
  Bridge(const Mcp& command, Context& context) : context_(context) {
    if (!command.cell_id.empty()) path_ += "?cell=" + encode_segment(command.cell_id);
  }

  void take(std::string line) {
    json::Value message;
    try {
      message = json::parse(line);
    } catch (const Error&) {  // The daemon says what is wrong.
    }
    const json::Value* id = message.find("id");
    const std::string method = text_in(message, "method");
    if (method == "initialize") waiting_.clear();  // None is under way while that is agreed upon.
    if (id == nullptr || method.empty() || method == "initialize") {
      const std::string answer = pass_on(line, id == nullptr ? json::Value() : *id);
      if (method == "initialize") note_revision(answer);
      return;
    }
    waiting_.remove_if([](const std::future<void>& one) {
      return one.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    if (waiting_.size() == kRequestsMax) {
      write(rpc_error(*id, "64 requests wait for their answers: wait for one of them"));
      return;
    }
    auto work = [this, line = std::move(line), id = *id] { pass_on(line, id); };
    waiting_.push_back(std::async(std::launch::async, std::move(work)));
  }

 private:
  // Sends a message, and writes what comes back. Gives what did so at once.
  std::string pass_on(const std::string& line, const json::Value& id) {
    std::string answer;
    try {
      answer = send(line);
      if (!answer.empty()) write(answer);
    } catch (const Error& error) {
      std::string text = error.what();
      if (!error.remediation().empty()) text += " (" + error.remediation() + ")";
      if (!id.is_null()) write(rpc_error(id, text));
      const std::lock_guard lock(mutex_);
      context_.output.note(text);
    }
    return answer;
  }

  // The answer; empty where there is none, or it was a stream, whose events are written.
  std::string send(const std::string& line) {
    Client client(context_.url, context_.api_key);
    Request request{
        .method = "POST",
        .path = path_,
        .headers = {"Content-Type: application/json", "Accept: application/json, text/event-stream",
                    "Mcp-Session-Id: " + session_},
        .body = line};
    if (!revision_.empty()) request.headers.push_back("MCP-Protocol-Version: " + revision_);
    EventStreamParser parser;
    std::string whole;  // of an answer that is no stream
    const Response response =
        client.stream(request, [&](const Response& head, std::string_view bytes) {
          if (head.content_type == "text/event-stream") {
            parser.feed(bytes, [this](const StreamEvent& event) { write(event.data); });
          } else {
            whole.append(bytes);
          }
          return Flow::go_on;
        });
    if (!response.is_success()) {
      // What is wrong with the message is said in its own words, all else as everywhere.
      if (response.body.find("\"jsonrpc\"") == response.body.npos) throw_answer(response);
      return response.body;
    }
    return whole;
  }

  void note_revision(const std::string& answer) {
    if (answer.empty()) return;
    const json::Value message = json::parse(answer, {.depth_max = 512});
    const json::Value* result = message.find("result");
    if (result != nullptr) revision_ = text_in(*result, "protocolVersion");
  }

  void write(const std::string& message) {
    const std::lock_guard lock(mutex_);
    context_.output.write(message + "\n");
  }

  Context& context_;
  std::string path_ = "/mcp";
  const std::string session_ = "session_" + random_hex(16);
  std::string revision_;                  // as initialize has agreed upon
  std::mutex mutex_;                      // of the output
  std::list<std::future<void>> waiting_;  // Their end is waited for.
};

}  // namespace

int run(const Mcp& command, Context& context) {
  Bridge bridge(command, context);
  std::string line;
  for (;;) {
    const std::string bytes = sys::read_some(context.in, kPieceBytesMax, "standard input");
    if (bytes.empty()) break;
    const std::size_t seen = line.size();
    line += bytes;
    for (std::size_t end = line.find('\n', seen); end != line.npos; end = line.find('\n')) {
      if (end > 0) bridge.take(line.substr(0, end));
      line.erase(0, end + 1);
    }
    if (line.size() > kMessageBytesMax) {
      throw Error(ErrorCode::too_large, "a message has more than 16 MiB");
    }
  }
  if (!line.empty()) bridge.take(line);
  return 0;
}

}  // namespace cellar::cli
