#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "async/event.h"
#include "base/error.h"
#include "cell/agent_language.h"
#include "cell/command.h"
#include "cell/pipe_end.h"
#include "cell/secrets.h"
#include "json/value.h"

namespace cellar::cell {

// Where the agent domain sees the agent hosts' files.
inline constexpr const char* kAgentHostFolder = "/opt/cellar/agent-host";

struct AgentFrame {
  json::Value header;
  std::string body;
};

// One agent host, running in the agent domain (docs/internals/agent-protocol.md). Loop thread only;
// shared by the coroutines that serve it, as each may outlive the process.
class AgentProcess {
 public:
  struct Options {
    std::string cell_id;
    AgentLanguage language = AgentLanguage::javascript;
    std::string image;  // by its name, for who is told that it lacks the agent host's program
    Secrets secrets;
    std::function<void(std::string line)> on_output;  // each line that it prints
    std::function<void(const CommandPlace&)> on_end;  // its place is not needed any more
  };
  // Starts it in a place of the agent domain. Throws Error; reason kHostMissing where the cell's
  // image has no `node` (or `python3`) that starts, which another attempt does not change.
  static constexpr const char* kHostMissing = "agent_host_missing";
  static asio::awaitable<std::shared_ptr<AgentProcess>> start(asio::any_io_executor executor,
                                                              CommandPlace place, Options options);

  // Whether one that was started as nobody's can become such a cell's: JavaScript, and no secret
  // has a name that Node.js, or what it is made of, reads when it starts.
  static bool may_be_warm(const Options& options);
  // One that was started as nobody's, with no cell_id, is this cell's from now on, at its place.
  void become(CommandPlace place, Options options);

  AgentProcess(const asio::any_io_executor& executor, CommandPlace place, Options options);
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  // What the owner keeps running: what reply() and send() queued is written, and what the agent
  // prints is read.
  asio::awaitable<void> write_up() { return write_queued(up_); }
  asio::awaitable<void> write_down() { return write_queued(down_); }
  asio::awaitable<void> read_output();

  // The next frame; nullopt at the end. Throws Error `corrupt` for bytes that are none, `canceled`
  // where its task is.
  asio::awaitable<std::optional<AgentFrame>> receive();
  // Queues a frame. An agent that leaves more than kQueuedBytesMax unread is ended, and no more of
  // what it has said is received.
  void send(const json::Value& header, std::string_view body);  // on the down socket
  // The same with the header as JSON, and a body that is made as there is room for it: `source`
  // gives the next of its `body_bytes` each time, and "" behind the last ones. Where it throws
  // Error, the agent is ended: it has had half a frame.
  using Source = std::function<asio::awaitable<std::string>()>;
  void send_image(std::string_view header, std::size_t body_bytes, Source source);
  // The same as send() with what else is held: all of it is queued by send_held(), or by the next
  // send(), in one piece. send_held() is false where there was nothing.
  void hold(const json::Value& header, std::string_view body);
  bool send_held();
  void reply(const json::Value& header, std::string_view body);  // to a synchronous call

  // Waits for the end of the process and of all that it began, and says why: "agent_exit", "oom",
  // or kHostMissing where the image's Node.js or Python is older than the host needs, which
  // too_old() explains.
  asio::awaitable<std::string> wait_end();
  Error too_old() const;
  void kill();  // with all that it began

  // It has begun to say something, and not come to its end.
  bool is_within_frame() const noexcept { return is_within_frame_; }

  AgentLanguage language() const noexcept { return options_.language; }

  // How long ago it said something, or an answer was due at the earliest.
  std::chrono::steady_clock::duration silent_for() const;
  // It has said something, or is owed an answer from now on.
  void heard_from();

 private:
  using Socket = asio::local::stream_protocol::socket;
  struct Queued {
    std::string bytes;
    Source more;  // where the frame goes on
  };
  // A socket and what is queued for it. Each has its own queue: the agent may wait for an answer on
  // the one while it reads nothing from the other.
  struct Line {
    explicit Line(const asio::any_io_executor& executor) : socket(executor), queued(executor) {}
    Socket socket;
    std::deque<Queued> frames;
    std::size_t bytes = 0;  // of these, and of what is being written
    async::Event queued;
  };
  bool begin(std::string& frame, std::string_view header, std::size_t body_bytes,
             std::size_t body_max);
  std::string encoded(const json::Value& header, std::string_view body);
  void queue(Line& line, Queued frames);
  asio::awaitable<void> write_queued(Line& line);
  asio::awaitable<bool> write(Line& line, Queued frames);
  asio::awaitable<bool> read_exactly(std::span<char> rest);
  asio::awaitable<bool> read_growing(std::string& bytes, std::size_t size);
  std::size_t take_unread(std::span<char> into) noexcept;
  asio::awaitable<void> ends_whole();

  CommandPlace place_;
  Options options_;
  Line up_;           // frames from the agent, and replies to its synchronous calls
  Line down_;         // frames to the agent
  std::string held_;  // for down_
  PipeEnd output_;
  std::string read_ahead_;   // from up_
  std::string_view unread_;  // of it, what receive() has not come to
  std::uint64_t oom_before_ = 0;
  std::uint32_t pid_ = 0;  // as its domain sees it
  bool has_spoken_ = false;
  bool is_within_frame_ = false;
  bool has_left_too_much_ = false;  // unread
  std::chrono::steady_clock::time_point heard_at_;
};

}  // namespace cellar::cell
