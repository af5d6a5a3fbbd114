#include <doctest/doctest.h>

#include "base/error.h"
#include "cell/command.h"

namespace cellar::cell {
namespace {

std::string why_refused(const std::string& body) {
  try {
    parse_command(body, Names::rest);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a command is a line for the shell or a list of words") {
  using Words = std::vector<std::string>;
  CHECK(parse_command(R"({"cmd": "ls | wc"})", Names::rest).argv ==
        Words{"/bin/sh", "-c", "ls | wc"});
  CHECK(parse_command(R"({"cmd": ["ls", "-l"]})", Names::rest).argv == Words{"ls", "-l"});
}

TEST_CASE("REST and ctx say the same in their own spelling") {
  const CommandRequest rest =
      parse_command(R"({"cmd":"x","cwd":"sub","env":{"A":"b"},"stdin":"in","timeout_ms":5,)"
                    R"("limits":{"output_bytes":7}})",
                    Names::rest);
  const CommandRequest ctx =
      parse_command(R"({"cmd":"x","opts":{"cwd":"sub","env":{"A":"b"},"stdin":"in","timeoutMs":5,)"
                    R"("maxOutputBytes":7}})",
                    Names::ctx);
  for (const CommandRequest& request : {rest, ctx}) {
    CHECK(request.cwd == "/work/sub");
    CHECK(request.env.at("A") == "b");
    CHECK(request.stdin_bytes == "in");
    CHECK(request.timeout.count() == 5);
    CHECK(request.output_bytes_max == 7);
  }
}

TEST_CASE("what cannot be a command is refused by name") {
  CHECK(why_refused("{}").find("\"cmd\"") != std::string::npos);
  for (const char* empty : {R"({"cmd":""})", R"({"cmd":[]})", R"({"cmd":[""]})"}) {
    CHECK(why_refused(empty).find("\"cmd\"") != std::string::npos);
  }
  CHECK(why_refused(R"({"cmd":[1]})").find("\"cmd\"") != std::string::npos);
  CHECK(why_refused(R"({"cmd":"x","timeout_ms":0})").find("\"timeout_ms\"") != std::string::npos);
  CHECK(why_refused(R"({"cmd":"x","env":{"A=B":"c"}})").find("\"env\"") != std::string::npos);
  CHECK(why_refused(R"({"cmd":"x\u0000y"})").find("NUL") != std::string::npos);
  CHECK(why_refused(R"({"cmd":"x","tiemout_ms":1})").find("tiemout_ms") != std::string::npos);
  CHECK(why_refused(R"({"cmd":")" + std::string(kCommandBytesMax, 'x') + "\"}").find("at most") !=
        std::string::npos);
}

TEST_CASE("a result has the names of the one who asks") {
  CommandResult result;
  result.exit_code = 137;
  result.signal = 9;
  result.timed_out = true;
  const std::string rest = encode(result, Names::rest);
  CHECK(rest.find(R"("exit_code":137)") != std::string::npos);
  CHECK(rest.find(R"("signal":9)") != std::string::npos);
  const std::string ctx = encode(result, Names::ctx);
  CHECK(ctx.find(R"("exitCode":137)") != std::string::npos);
  CHECK(ctx.find(R"("failed":true)") != std::string::npos);
}

}  // namespace cellar::cell
