#include "cell/agent_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "json/json.h"
#include "sandbox/groups.h"
#include "sys/file.h"
#include "sys/socket_pair.h"
#include "wire/agent_frame.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kQueuedBytesMax = 512 << 20;
constexpr std::size_t kReadAheadBytes = 16 << 10;
constexpr std::size_t kTriedBytesMax = 256 << 10;  // What is left of a try is moved.
// Of what the agent says: a name, a path, some numbers.
constexpr std::size_t kHeaderBytesMax = 64 << 10;
constexpr std::size_t kFirstBodyBytes = 1 << 20;
constexpr std::size_t kOutputLineMax = 8 << 10;
// What the host ends with where Node.js or Python is older than it needs.
constexpr int kTooOld = 69;
constexpr std::chrono::milliseconds kEndPause{20};
constexpr const char* kJavascriptHost = "/opt/cellar/agent-host/host.js";
constexpr const char* kPythonHost = "/opt/cellar/agent-host/python/host.py";

std::vector<std::string> argv_of(AgentLanguage language) {
  if (language == AgentLanguage::python) return {"python3", "-B", kPythonHost};
  // One thread beside its own for what V8 does meanwhile: more of them are in the way of the agent,
  // and of all others, while its code is compiled.
  return {"node", "--v8-pool-size=1", kJavascriptHost};
}

// The order of sets of texts, the same in every process of a cell: a replay takes the same way.
std::string hash_seed(const std::string& cell_id) {
  return std::to_string(std::stoul(sha256_hex(cell_id).substr(0, 8), nullptr, 16));
}

// Beginnings of names that Node.js reads when it starts, or a library of its does.
constexpr std::string_view kReadAtStart[] = {"NODE", "UV_", "LD_",  "GLIBC", "MALLOC",
                                             "SSL_", "ICU", "LANG", "LC_",   "OPENSSL"};

// What a cell's agent host has in its environment, and nobody's has not.
std::vector<std::pair<std::string, std::string>> own_environment(
    const AgentProcess::Options& options) {
  std::vector<std::pair<std::string, std::string>> own = {{"CELLAR_CELL_ID", options.cell_id}};
  for (const auto& [name, value] : options.secrets) own.emplace_back(name, value);
  return own;
}

wire::SpawnRequest spawn_request(const AgentProcess::Options& options) {
  wire::SpawnRequest request;
  request.argv = argv_of(options.language);
  request.cwd = "/work";
  request.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8",
                 "CELLAR_WORK_DIR=/work"};
  if (options.language == AgentLanguage::python) {
    request.env.push_back("PYTHONHASHSEED=" + hash_seed(options.cell_id));
  }
  for (const auto& [name, value] : own_environment(options)) {
    request.env.push_back(name + "=" + value);
  }
  request.open_files_max = 65536;
  return request;
}

Error host_missing(const AgentProcess::Options& options, std::string_view cause) {
  const bool is_python = options.language == AgentLanguage::python;
  const std::string name = is_python ? "Python" : "Node.js";
  const std::string program = is_python ? "python3 (3.11 or newer)" : "node (18 or newer)";
  return Error(ErrorCode::unavailable, AgentProcess::kHostMissing,
               "the image \"" + options.image + "\" has no " + name + " that can run an agent (" +
                   std::string(cause) + ")",
               "put " + program +
                   " into /usr/local/bin or /usr/bin of the image, import it again under its "
                   "name and create the cell anew, or give the cell an image made by `cellar image "
                   "build`");
}

}  // namespace

AgentProcess::AgentProcess(const asio::any_io_executor& executor, CommandPlace place,
                           Options options)
    : place_(std::move(place)),
      options_(std::move(options)),
      up_(executor),
      down_(executor),
      output_(executor),
      read_ahead_(kReadAheadBytes, '\0'),
      heard_at_(std::chrono::steady_clock::now()) {}

AgentProcess::~AgentProcess() { options_.on_end(place_); }

asio::awaitable<std::shared_ptr<AgentProcess>> AgentProcess::start(asio::any_io_executor executor,
                                                                   CommandPlace place,
                                                                   Options options) {
  const auto domain = place.domain;
  const auto agent = std::make_shared<AgentProcess>(executor, std::move(place), std::move(options));
  auto [up, up_theirs] = sys::stream_pair();
  auto [down, down_theirs] = sys::stream_pair();
  sys::Pipe output = sys::make_pipe();
  sys::give_to(output.write_end.get(), agent->place_.uid);
  const asio::local::stream_protocol protocol;
  agent->up_.socket.assign(protocol, up.release());
  agent->down_.socket.assign(protocol, down.release());
  agent->up_.socket.non_blocking(true);
  agent->down_.socket.non_blocking(true);
  agent->output_.open(agent->place_.pipes, std::move(output.read_end));
  agent->oom_before_ = agent->place_.count_oom_kills();

  const sys::Fd null = sys::open_file("/dev/null", O_RDONLY);
  sys::Fd group;
  std::vector<int> fds(5);
  fds[0] = null.get();
  fds[1] = output.write_end.get();
  fds[2] = output.write_end.get();
  fds[3] = up_theirs.get();
  fds[4] = down_theirs.get();
  wire::SpawnRequest request = spawn_request(agent->options_);
  request.id = agent->place_.id;
  request.in_cgroup = !agent->place_.group.empty();
  if (request.in_cgroup) {
    group = sys::open_file(agent->place_.group, O_PATH | O_DIRECTORY);
    fds.push_back(group.get());
  }
  const std::vector<std::string> words = request.argv;
  std::vector<sys::Fd> theirs;
  theirs.push_back(std::move(output.write_end));
  const LentEnds lent(agent->place_.pipes, std::move(theirs));
  try {
    const std::uint32_t pid = co_await domain->start(std::move(request), std::move(fds));
    agent->pid_ = pid;
    agent->place_.note_start(pid, words);
  } catch (const Error& error) {
    // It is the program that is not there, or what it needs to be loaded.
    if (error.code() == ErrorCode::not_found && error.reason() == "start_failed") {
      throw host_missing(agent->options_, error.what());
    }
    throw;
  }
  co_return agent;
}

bool AgentProcess::may_be_warm(const Options& options) {
  if (options.language != AgentLanguage::javascript) return false;
  return std::none_of(options.secrets.begin(), options.secrets.end(), [](const auto& secret) {
    return std::any_of(std::begin(kReadAtStart), std::end(kReadAtStart),
                       [&](std::string_view start) { return secret.first.starts_with(start); });
  });
}

void AgentProcess::become(CommandPlace place, Options options) {
  place_ = std::move(place);
  options_ = std::move(options);
  place_.note_start(pid_, argv_of(options_.language));
  json::Object environment;
  for (auto& [name, value] : own_environment(options_)) environment.set(name, std::move(value));
  send(json::object({{"t", "cell"}}), json::dump(json::Value(std::move(environment))));
}

// ---- reading ----

std::size_t AgentProcess::take_unread(std::span<char> into) noexcept {
  const std::size_t size = unread_.copy(into.data(), into.size());
  unread_.remove_prefix(size);
  return size;
}

// Small frames come several in one system call; a large one is not copied.
asio::awaitable<bool> AgentProcess::read_exactly(std::span<char> rest) {
  rest = rest.subspan(take_unread(rest));
  while (!rest.empty()) {
    const bool is_large = rest.size() >= read_ahead_.size();
    const std::span<char> target = is_large ? rest : std::span<char>(read_ahead_);
    const auto [error, size] = co_await up_.socket.async_read_some(
        asio::buffer(target.data(), target.size()), asio::as_tuple(asio::use_awaitable));
    if (error == asio::error::operation_aborted && up_.socket.is_open()) {
      throw Error(ErrorCode::canceled, "canceled while reading from the agent");
    }
    if (error) co_return false;
    if (!is_large) unread_ = std::string_view(read_ahead_).substr(0, size);
    rest = rest.subspan(is_large ? size : take_unread(rest));
  }
  co_return true;
}

// Takes no more memory than twice what has really come.
asio::awaitable<bool> AgentProcess::read_growing(std::string& bytes, std::size_t size) {
  while (bytes.size() < size) {
    const std::size_t before = bytes.size();
    bytes.resize(std::min(size, std::max(2 * before, kFirstBodyBytes)));
    const bool has_more = co_await read_exactly(std::span<char>(bytes).subspan(before));
    if (!has_more) co_return false;
  }
  co_return true;
}

asio::awaitable<std::optional<AgentFrame>> AgentProcess::receive() {
  std::string prefix(wire::kAgentPrefixBytes, '\0');
  const bool has_prefix = co_await read_exactly(prefix);
  if (!has_prefix || has_left_too_much_) co_return std::nullopt;
  is_within_frame_ = true;
  const auto sizes = wire::decode_agent_prefix(prefix);
  if (!sizes) throw Error(ErrorCode::corrupt, "the agent host sent a frame that is too large");
  if (sizes->header > kHeaderBytesMax) {
    throw Error(ErrorCode::corrupt, "the agent host sent a header that is too large");
  }
  std::string header(sizes->header, '\0');
  AgentFrame frame;
  const bool has_header = co_await read_exactly(header);
  const bool has_body = has_header && co_await read_growing(frame.body, sizes->body);
  if (!has_body) co_return std::nullopt;
  is_within_frame_ = false;
  has_spoken_ = true;
  frame.header = json::parse(header);
  co_return frame;
}

asio::awaitable<void> AgentProcess::read_output() {
  std::string line;
  bool has_ended = false;
  while (!has_ended) {
    const sys::PipeRead read = co_await output_.read(kOutputLineMax);
    has_ended = read.has_ended;
    for (const char c : read.bytes) {
      if (c != '\n') line.push_back(c);
      if (c == '\n' || line.size() >= kOutputLineMax) options_.on_output(std::exchange(line, {}));
    }
  }
  if (!line.empty()) options_.on_output(std::move(line));
}

// ---- writing ----

void AgentProcess::send(const json::Value& header, std::string_view body) {
  hold(header, body);
  send_held();
}

void AgentProcess::send_image(std::string_view header, std::size_t body_bytes, Source source) {
  send_held();
  Queued frame;
  if (!begin(frame.bytes, header, body_bytes, wire::kAgentImageMax)) return;
  frame.more = std::move(source);
  queue(down_, std::move(frame));
}

void AgentProcess::hold(const json::Value& header, std::string_view body) {
  held_ += encoded(header, body);
}

// False where it is more than a frame can hold: whoever makes one is to see to that, and an agent
// that would wait for it is ended.
bool AgentProcess::begin(std::string& frame, std::string_view header, std::size_t body_bytes,
                         std::size_t body_max) {
  try {
    wire::begin_agent_frame(frame, header, body_bytes, body_max);
    return true;
  } catch (const Error& error) {
    log::error("cell {}: {}: the agent host is ended", log::cell(options_.cell_id), error.what());
    kill();
    return false;
  }
}

std::string AgentProcess::encoded(const json::Value& header, std::string_view body) {
  std::string frame;
  if (begin(frame, json::dump(header), body.size(), wire::kAgentBodyMax)) frame.append(body);
  return frame;
}

bool AgentProcess::send_held() {
  if (held_.empty()) return false;
  queue(down_, {.bytes = std::exchange(held_, {}), .more = {}});
  return true;
}

void AgentProcess::reply(const json::Value& header, std::string_view body) {
  queue(up_, {.bytes = encoded(header, body), .more = {}});
}

void AgentProcess::queue(Line& line, Queued frames) {
  // Mostly the socket takes all of it now, without a turn of the loop.
  if (line.bytes == 0 && frames.bytes.size() <= kTriedBytesMax && !frames.more) {
    boost::system::error_code error;  // write_queued() meets it again.
    frames.bytes.erase(0, line.socket.write_some(asio::buffer(frames.bytes), error));
  }
  if (frames.bytes.empty() || !line.socket.is_open() || has_left_too_much_) return;
  line.bytes += frames.bytes.size();
  line.frames.push_back(std::move(frames));
  if (line.bytes > kQueuedBytesMax) {
    log::warning("cell {}: the agent host reads nothing: it is ended", log::cell(options_.cell_id));
    has_left_too_much_ = true;
    kill();
  }
  line.queued.set();
}

asio::awaitable<void> AgentProcess::write_queued(Line& line) {
  for (;;) {
    while (line.frames.empty()) {
      if (!line.socket.is_open()) co_return;
      line.queued.reset();
      co_await line.queued.wait();
    }
    Queued frames = std::move(line.frames.front());
    line.frames.pop_front();
    const std::size_t bytes = frames.bytes.size();
    const bool is_there = co_await write(line, std::move(frames));
    if (!is_there) co_return;  // It is ending; receive() tells.
    line.bytes -= bytes;       // Only now: nothing else is written before all of it.
  }
}

asio::awaitable<bool> AgentProcess::write(Line& line, Queued frames) {
  while (!frames.bytes.empty()) {
    const auto [error, size] = co_await asio::async_write(line.socket, asio::buffer(frames.bytes),
                                                          asio::as_tuple(asio::use_awaitable));
    if (error) co_return false;
    frames.bytes.clear();
    if (!frames.more) continue;
    heard_from();  // It reads, and comes to nothing else before it has all.
    try {
      frames.bytes = co_await frames.more();
    } catch (const Error& error) {
      log::error("cell {}: {}: the agent host is ended", log::cell(options_.cell_id), error.what());
      kill();
      co_return false;
    }
  }
  co_return true;
}

// ---- ending ----

asio::awaitable<std::string> AgentProcess::wait_end() {
  kill();  // Its sockets are closed: what is left of it, and of what it began, is of no use.
  const bool is_gone = co_await place_.domain->ends_within(place_.id, kKillLimit);
  if (!is_gone && place_.end_domain) place_.end_domain();
  const DomainLink::Exit exit = co_await place_.domain->wait_exit(place_.id);
  co_await ends_whole();
  const bool killed = !exit.lost && WIFSIGNALED(exit.wait_status);
  const bool oom = killed && place_.count_oom_kills() > oom_before_;
  for (Line* line : {&up_, &down_}) {
    boost::system::error_code ignored;
    line->socket.close(ignored);
    line->queued.set();  // Who writes there has nothing to wait for.
  }
  const bool too_old = !exit.lost && WIFEXITED(exit.wait_status) && !has_spoken_ &&
                       WEXITSTATUS(exit.wait_status) == kTooOld;
  if (too_old) co_return kHostMissing;
  co_return oom ? "oom" : "agent_exit";
}

Error AgentProcess::too_old() const { return host_missing(options_, "what it has is too old"); }

void AgentProcess::kill() { cell::kill(place_); }

// Returns once nothing that it began is left: the next attempt is not to meet it. Without a group
// its keeper has seen to that before it told the end.
asio::awaitable<void> AgentProcess::ends_whole() {
  if (place_.group.empty()) co_return;
  auto is_empty = [group = place_.group] { return !sandbox::is_populated(group); };
  try {
    co_await async::poll_until("end of what the agent began", std::move(is_empty), kKillLimit,
                               kEndPause);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("{}", error.what());  // Killed it is, and executes nothing any more.
  }
}

std::chrono::steady_clock::duration AgentProcess::silent_for() const {
  return std::chrono::steady_clock::now() - heard_at_;
}
void AgentProcess::heard_from() { heard_at_ = std::chrono::steady_clock::now(); }

}  // namespace cellar::cell
