// Commands as JSON, in both spellings.

#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cell/command.h"
#include "cell/process.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kArgumentsMax = 4096;
constexpr std::size_t kStdinBytesMax = 64 << 20;
// More than words and environment can be; a long text is one value.
constexpr json::ParseLimits kCommandLimits{.value_count_max = 200'000};
constexpr std::int64_t kMemoryBytesMin = 1 << 20;
constexpr std::int64_t kPidsMax = 1 << 22;
constexpr std::int64_t kCpuMillisMin = 10;  // the kernel's least quota is 1 ms of 100
constexpr std::int64_t kCpuMillisMax = 1'000'000;
constexpr std::int64_t kWeightMax = 10'000;

std::vector<std::string> argv_of(const json::Value& cmd) {
  std::vector<std::string> argv;
  if (cmd.is_string()) {
    if (cmd.as_string().empty()) json::Reader::refuse("cmd", "a command, and it is empty");
    argv.emplace_back("/bin/sh");
    argv.emplace_back("-c");
    argv.push_back(cmd.as_string());
  } else if (cmd.is_array()) {
    for (const json::Value& word : cmd.as_array()) {
      if (!word.is_string()) json::Reader::refuse("cmd", "a string or a list of strings");
      argv.push_back(word.as_string());
    }
  } else {
    json::Reader::refuse("cmd", "a string or a list of strings");
  }
  if (argv.empty() || argv.front().empty() || argv.size() > kArgumentsMax) {
    json::Reader::refuse("cmd", "a command of 1 to 4096 words");
  }
  return argv;
}

void check_words(const CommandRequest& request) {
  std::size_t bytes = 0;
  const auto check = [&](const std::string& word, const char* what) {
    if (word.find('\0') != std::string::npos) json::Reader::refuse(what, "free of NUL bytes");
    bytes += word.size() + 1;
  };
  for (const std::string& word : request.argv) check(word, "cmd");
  for (const auto& [name, value] : request.env) {
    if (name.empty() || name.find('=') != std::string::npos) {
      json::Reader::refuse("env", "an object of names without \"=\"");
    }
    check(name, "env");
    check(value, "env");
  }
  check(request.cwd, "cwd");
  if (bytes > kCommandBytesMax) {
    throw Error(ErrorCode::too_large, "command_too_large",
                "the command and its environment take " + std::to_string(bytes) +
                    " bytes, at most " + std::to_string(kCommandBytesMax),
                "write the data to a file, or send it as stdin");
  }
}

// Of 1 to `max`; at least what a shell needs to start at all.
void read_resources(sandbox::ResourceLimits& resources, const json::Reader& from, Names names) {
  const bool rest = names == Names::rest;
  const auto number = [&](const char* in_rest, const char* in_ctx, std::int64_t min,
                          std::int64_t max) {
    return static_cast<std::uint64_t>(
        from.optional_int(rest ? in_rest : in_ctx, min, max).value_or(0));
  };
  resources.memory_bytes = number("memory_bytes", "memoryBytes", kMemoryBytesMin, INT64_MAX);
  resources.pids_max = static_cast<std::uint32_t>(number("pids", "pids", 1, kPidsMax));
  resources.cpu_millis =
      static_cast<std::uint32_t>(number("cpu_millis", "cpuMillis", kCpuMillisMin, kCpuMillisMax));
  resources.cpu_weight =
      static_cast<std::uint32_t>(number("cpu_weight", "cpuWeight", 1, kWeightMax));
}

enum class OutputLimit : bool { none, some };

// What commands and processes share.
void read_surroundings(CommandRequest& request, const json::Reader& options, Names names,
                       OutputLimit output) {
  const bool rest = names == Names::rest;
  if (const auto cwd = options.optional_string("cwd")) {
    request.cwd = cwd->starts_with("/") ? *cwd : "/work/" + *cwd;
  }
  if (auto env = options.optional_string_map("env")) request.env = std::move(*env);
  const std::int64_t longest =
      std::chrono::duration_cast<std::chrono::milliseconds>(kCommandTimeoutMax).count();
  if (const auto ms = options.optional_int(rest ? "timeout_ms" : "timeoutMs", 1, longest)) {
    request.timeout = std::chrono::milliseconds(*ms);
  }
  const auto limits = options.optional_object("limits");
  const json::Reader& from = limits ? *limits : options;
  if (output == OutputLimit::some) {
    const auto max = static_cast<std::int64_t>(kOutputBytesMax);
    if (const auto n = from.optional_int(rest ? "output_bytes" : "maxOutputBytes", 1, max)) {
      request.output_bytes_max = static_cast<std::uint64_t>(*n);
    }
  }
  if (const auto n = from.optional_int(rest ? "open_files" : "maxOpenFiles", 3, 1 << 20)) {
    request.open_files_max = static_cast<std::uint64_t>(*n);
  }
  if (const auto n = from.optional_int(rest ? "file_bytes" : "maxFileBytes", 0, INT64_MAX)) {
    request.file_bytes_max = static_cast<std::uint64_t>(*n);
  }
  read_resources(request.resources, from, names);
  if (limits) limits->refuse_unknown();
}

void read_options(CommandRequest& request, const json::Reader& options, Names names) {
  read_surroundings(request, options, names, OutputLimit::some);
  if (auto bytes = options.optional_string("stdin")) {
    if (bytes->size() > kStdinBytesMax) {
      throw Error(ErrorCode::too_large, "\"stdin\" is larger than 64 MiB");
    }
    request.stdin_bytes = std::move(*bytes);
  }
}

constexpr std::int64_t kSizeMax = 1000;  // of a terminal

std::uint16_t read_extent(const json::Reader& from, const char* key, std::uint16_t otherwise) {
  return static_cast<std::uint16_t>(from.optional_int(key, 1, kSizeMax).value_or(otherwise));
}

std::optional<sys::TerminalSize> read_terminal(const json::Reader& body) {
  const json::Value* given = body.optional_value("terminal");
  if (given == nullptr) return std::nullopt;
  if (given->is_bool()) return given->as_bool() ? std::optional(sys::TerminalSize()) : std::nullopt;
  return read_size(*body.optional_object("terminal"));
}

constexpr const char* kLoginShell =
    "if [ -x /bin/bash ]; then exec /bin/bash -l; else exec /bin/sh -l; fi";

}  // namespace

CommandRequest parse_command(std::string_view json_text, Names names) {
  const json::Value value = json::parse(json_text, kCommandLimits);
  const json::Reader body(value, "the body");
  CommandRequest request;
  request.argv = argv_of(body.required_value("cmd"));
  if (names == Names::rest) {
    read_options(request, body, names);
    body.refuse_unknown();
  } else if (const auto options = body.optional_object("opts")) {
    read_options(request, *options, names);
  }
  check_words(request);
  return request;
}

std::string encode(const CommandResult& result, Names names) {
  const bool rest = names == Names::rest;
  json::Value value =
      json::object({{"stdout", result.stdout_bytes},
                    {"stderr", result.stderr_bytes},
                    {rest ? "exit_code" : "exitCode", result.exit_code},
                    {rest ? "timed_out" : "timedOut", result.timed_out},
                    {"oom", result.oom},
                    {"truncated", result.truncated},
                    {rest ? "duration_ms" : "durationMs", result.duration.count()}});
  if (result.signal) value.as_object().set("signal", *result.signal);
  if (result.disk_full) value.as_object().set(rest ? "disk_full" : "diskFull", true);
  if (result.lost) {
    value.as_object().set("lost", true);
    value.as_object().set(rest ? "lost_by" : "lostBy", name_of(*result.lost));
  }
  if (!rest) value.as_object().set("failed", result.exit_code != 0);
  return json::dump(value);
}

ProcessRequest parse_process(std::string_view json_text) {
  const json::Value value = json::parse(json_text);
  const json::Reader body(value, "the body");
  ProcessRequest request;
  request.terminal = read_terminal(body);
  const json::Value* cmd = body.optional_value("cmd");
  if (cmd == nullptr && !request.terminal) json::Reader::refuse("cmd", "a command");
  request.command.argv =
      cmd == nullptr ? std::vector<std::string>{"/bin/sh", "-c", kLoginShell} : argv_of(*cmd);
  request.command.timeout = std::chrono::milliseconds(0);
  request.takes_input = body.optional_bool("stdin").value_or(false);
  read_surroundings(request.command, body, Names::rest, OutputLimit::none);
  body.refuse_unknown();
  check_words(request.command);
  return request;
}

int parse_signal(const json::Value& signal) {
  if (signal.is_int() && signal.as_int() >= 1 && signal.as_int() < NSIG) {
    return static_cast<int>(signal.as_int());
  }
  std::string name = signal.is_string() ? signal.as_string() : "";
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int number = 1; number < NSIG && !name.empty(); ++number) {
    const char* abbreviation = ::sigabbrev_np(number);
    if (abbreviation != nullptr && name == abbreviation) return number;
  }
  json::Reader::refuse("signal", "the name of a signal, such as SIGTERM, or its number");
}

sys::TerminalSize read_size(const json::Reader& from) {
  sys::TerminalSize size;
  size.columns = read_extent(from, "columns", size.columns);
  size.rows = read_extent(from, "rows", size.rows);
  from.refuse_unknown();
  return size;
}

json::Value output_json(std::string_view bytes) {
  return is_valid_utf8(bytes) ? json::object({{"text", bytes}})
                              : json::object({{"b64", to_base64(bytes)}});
}

}  // namespace cellar::cell
