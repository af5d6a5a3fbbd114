#include "cli/run.h"

#include <utility>

#include "base/error.h"
#include "cli/commands.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

// `cellar --help` and the end-to-end tests know them.
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kNotFound = 3;
constexpr int kUnreachable = 4;
constexpr int kUnauthenticated = 5;

int exit_code_of(const Error& error) {
  for (const char* reason : {"daemon_unreachable", "connection_lost", "no_daemon"}) {
    if (error.reason() == reason) return kUnreachable;
  }
  if (error.reason() == "usage" || error.reason() == "invalid_url") return kUsage;
  if (error.code() == ErrorCode::not_found) return kNotFound;
  if (error.code() == ErrorCode::unauthenticated) return kUnauthenticated;
  return kFailed;
}

int report(const Error& error, Output& output) {
  if (output.format() == Format::json) {
    json::Value body = json::object({{"error", error.what()}, {"code", error.reason()}});
    if (!error.remediation().empty()) body.as_object().set("remediation", error.remediation());
    output.write_error(printable(json::dump(body)) + "\n");
    return exit_code_of(error);
  }
  output.note(format_error(error));
  return exit_code_of(error);
}

int perform(const CommandLine& line, Output& output, int in) {
  Client client(line.url, line.api_key);
  Api api(client);
  Context context{api, output, in, line.url, line.api_key};
  return std::visit([&](const auto& command) { return run(command, context); }, line.command);
}

}  // namespace

int run(int argc, const char* const* argv, const Streams& streams) {
  auto parsed = read_command_line(argc, argv);
  if (const auto* usage = std::get_if<Usage>(&parsed)) {
    Output output(streams.out, streams.err, Format::text);
    if (usage->exit_code == 0) {
      output.write(usage->text);
    } else {
      output.write_error("cellar: " + usage->text);
    }
    return usage->exit_code;
  }
  const auto& line = std::get<CommandLine>(parsed);
  Output output(streams.out, streams.err, line.format);
  try {
    return perform(line, output, streams.in);
  } catch (const Error& error) {
    return report(error, output);
  } catch (const std::exception& error) {  // A bug, or no memory.
    output.note(error.what());
    return kFailed;
  }
}

}  // namespace cellar::cli
