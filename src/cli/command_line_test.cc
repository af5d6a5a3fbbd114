#include "cli/command_line.h"

#include <doctest/doctest.h>
#include <stdlib.h>

namespace cellar::cli {
namespace {

std::variant<CommandLine, Usage> read(std::vector<const char*> words) {
  words.insert(words.begin(), "cellar");
  return read_command_line(static_cast<int>(words.size()), words.data());
}

template <typename T>
T command_of(const std::vector<const char*>& words) {
  auto line = read(words);
  if (const auto* usage = std::get_if<Usage>(&line)) FAIL(usage->text);
  return std::get<T>(std::get<CommandLine>(line).command);
}

int usage_of(const std::vector<const char*>& words) {
  const auto line = read(words);
  const auto* usage = std::get_if<Usage>(&line);
  return usage == nullptr ? -1 : usage->exit_code;
}

}  // namespace

TEST_CASE("the daemon and the key come from options, else from the environment") {
  ::unsetenv("CELLAR_URL");
  ::setenv("CELLAR_API_KEY", "from-env", 1);
  auto line = std::get<CommandLine>(read({"ls"}));
  CHECK(line.url == "http://127.0.0.1:4750");
  CHECK(line.api_key == "from-env");
  CHECK(line.format == Format::text);
  ::setenv("CELLAR_URL", "http://env", 1);
  CHECK(std::get<CommandLine>(read({"ls"})).url == "http://env");
  line = std::get<CommandLine>(read({"ls", "--url", "http://x", "-o", "json", "--api-key", "k"}));
  CHECK(line.url == "http://x");
  CHECK(line.api_key == "k");
  CHECK(line.format == Format::json);
  CHECK(std::get<CommandLine>(read({"-o", "json", "ls"})).format == Format::json);
  ::unsetenv("CELLAR_URL");
  ::unsetenv("CELLAR_API_KEY");
}

TEST_CASE("create takes its options in any order and any number") {
  ::setenv("CLI_TEST_SECRET", "s", 1);
  const auto create = command_of<Create>({"create",
                                          "--secret",
                                          "A=b=c",
                                          "--secret",
                                          "CLI_TEST_SECRET",
                                          "--allow",
                                          "a.org",
                                          "--allow",
                                          "[::1]:80",
                                          "alice",
                                          "--permanent",
                                          "--tier",
                                          "standard",
                                          "--agent",
                                          "a.js",
                                          "--idle-timeout",
                                          "60",
                                          "--max-awake",
                                          "0",
                                          "--image",
                                          "dev",
                                          "--runtime",
                                          "gvisor"});
  CHECK(create.customer_id == "alice");
  CHECK(create.secrets ==
        std::map<std::string, std::string>{{"A", "b=c"}, {"CLI_TEST_SECRET", "s"}});
  CHECK(create.allow == std::vector<std::string>{"a.org", "[::1]:80"});
  CHECK(create.permanent);
  CHECK(create.tier == "standard");
  CHECK(create.agent_file == "a.js");
  CHECK(create.image == "dev");
  CHECK(create.runtime == "gvisor");
  CHECK(create.idle_timeout_s == 60);
  CHECK(create.max_awake_s == 0);
  CHECK(usage_of({"create", "alice", "--secret", "CLI_TEST_NOT_SET"}) == 2);
  CHECK(usage_of({"create", "alice", "--secret", "=x"}) == 2);
  CHECK_FALSE(command_of<Create>({"create", "bob"}).idle_timeout_s.has_value());
}

TEST_CASE("what follows the dashes is the command, word by word") {
  const auto exec = command_of<Exec>({"exec", "c1", "--env", "A=1", "-n", "--timeout", "1.5", "--",
                                      "sh", "-c", "[1,2]", "--", "-o", "[]", ""});
  CHECK(exec.cell_id == "c1");
  CHECK(exec.command == std::vector<std::string>{"sh", "-c", "[1,2]", "--", "-o", "[]", ""});
  CHECK(exec.env.at("A") == "1");
  CHECK(exec.without_stdin);
  CHECK(exec.timeout_s == 1.5);
  CHECK(usage_of({"exec", "c1"}) == 2);
  CHECK(usage_of({"exec", "c1", "--"}) == 2);
  CHECK(usage_of({"exec", "--", "ls"}) == 2);
  CHECK(usage_of({"ls", "--", "x"}) == 2);
  CHECK(usage_of({"exec", "c1", "--env", "A", "--", "ls"}) == 2);
}

TEST_CASE("the other commands take what they need") {
  CHECK(command_of<Get>({"get", "c"}).cell_id == "c");
  CHECK(command_of<Remove>({"rm", "c"}).cell_id == "c");
  CHECK(command_of<Pause>({"pause", "c"}).cell_id == "c");
  CHECK(command_of<Hibernate>({"hibernate", "c"}).cell_id == "c");
  CHECK(command_of<KeepAlive>({"keep-alive", "c", "60"}).seconds == 60);
  CHECK(command_of<WakeAt>({"wake-at", "c", "never"}).at == "never");
  const Preview preview =
      command_of<Preview>({"preview", "c", "3000", "--link", "--expires", "15m"});
  CHECK(preview.port == 3000);
  CHECK(preview.link);
  CHECK(preview.expires_in_s == 900);
  CHECK(command_of<Preview>({"preview", "c", "--public"}).access == "public");
  CHECK(command_of<Resume>({"resume", "c"}).cell_id == "c");
  CHECK(command_of<Copy>({"cp", "a", "c:/b"}).destination == "c:/b");
  CHECK(command_of<AgentRequest>({"request", "c", "m", "[1,2]"}).params == "[1,2]");
  CHECK(command_of<AgentRequest>({"request", "c", "m", "-"}).params == "-");
  CHECK(command_of<AgentRequest>({"request", "c", "m", "{\"a\":1}"}).params == "{\"a\":1}");
  CHECK(command_of<AgentRequest>({"request", "c", "m"}).params.empty());
  CHECK(command_of<Search>({"search", "c", "two words", "--limit", "3"}).limit == 3);
}

TEST_CASE("the commands of runs take what they need") {
  CHECK(command_of<RunList>({"runs", "ls", "c", "--limit", "5"}).limit == 5);
  CHECK(command_of<RunGet>({"runs", "get", "c", "r"}).run.run_id == "r");
  CHECK(command_of<RunGet>({"runs", "get", "c", "r", "--view", "committed"}).view == "committed");
  const auto start = command_of<RunStart>({"runs", "start", "c", "get", "[1,2]", "--key", "k 1"});
  CHECK(start.method == "get");  // The name of a command is a name like any other.
  CHECK(start.params == "[1,2]");
  CHECK(start.key == "k 1");
  CHECK_FALSE(command_of<RunAwait>({"runs", "await", "c", "r"}).timeout_s.has_value());
  CHECK(command_of<RunAwait>({"runs", "await", "c", "r", "--timeout", "0"}).timeout_s == 0);
  CHECK(command_of<RunPause>({"runs", "pause", "c", "r"}).run.cell_id == "c");
  CHECK_FALSE(command_of<RunResume>({"runs", "resume", "c", "r"}).decision.has_value());
  CHECK(command_of<RunResume>({"runs", "resume", "c", "r", "--retry"}).decision == "retry");
  CHECK(command_of<RunResume>({"runs", "resume", "c", "r", "--fail"}).decision == "fail");
  const auto resume = command_of<RunResume>({"runs", "resume", "c", "r", "--value", "{}"});
  CHECK(resume.decision == "value");
  CHECK(resume.value == "{}");
  const auto event = command_of<RunSend>({"runs", "event", "c", "r", "t", "{}", "--id", "i"});
  CHECK(event.type == "t");
  CHECK(event.payload == "{}");
  CHECK(event.id == "i");
  const auto approve = command_of<RunApprove>(
      {"runs", "approve", "c", "r", "--refuse", "--step", "s", "--by", "b", "--comment", "c"});
  CHECK_FALSE(approve.approved);
  CHECK(approve.step == "s");
  CHECK(command_of<RunApprove>({"runs", "approve", "c", "r"}).approved);
  for (const std::vector<const char*>& group : {std::vector<const char*>{"runs"}, {}}) {
    std::vector<const char*> log = group, cancel = group;
    log.insert(log.end(), {group.empty() ? "events" : "log", "c", "r", "-f", "--after", "7"});
    CHECK(command_of<RunLog>(log).follow);
    CHECK(command_of<RunLog>(log).after == 7);
    cancel.insert(cancel.end(), {"cancel", "c", "r", "--grace", "5"});
    CHECK(command_of<RunCancel>(cancel).grace_ms == 5);
  }
}

TEST_CASE("events are those of a cell, or of one run") {
  const auto events = command_of<RunLog>({"events", "c", "-f", "--tail", "9", "--types", "cell.*"});
  CHECK(events.run.cell_id == "c");
  CHECK(events.run.run_id.empty());
  CHECK(events.tail == 9);
  CHECK(events.types == "cell.*");
  CHECK(command_of<RunLog>({"runs", "log", "c", "r", "--view", "live"}).view == "live");
  CHECK(events.follow);
}

TEST_CASE("a wrong value is refused by its option, with what is allowed and what was given") {
  struct Case {
    std::vector<const char*> words;
    std::string text;
  };
  const std::string truth = " must be given alone, or with =true or =false, not \"maybe\"";
  const std::vector<Case> cases = {
      {{"create", "c", "--file-events=maybe"}, "--file-events:" + truth},
      {{"create", "c", "--no-file-events=maybe"}, "--file-events:" + truth},
      {{"create", "c", "--permanent=maybe"}, "--permanent:" + truth},
      {{"runs", "resume", "c", "r", "--retry=maybe"}, "--retry:" + truth},
      {{"preview", "c", "--public=maybe"}, "--public:" + truth},
      {{"create", "c", "--idle-timeout", "soon"},
       "--idle-timeout: must be a whole number from 1 to 31536000, not \"soon\""},
      {{"create", "c", "--max-awake=-1"},
       "--max-awake: must be a whole number from 0 to 31536000, not \"-1\""},
      {{"create", "c", "--run-retention", "99999999999999999999"},
       "--run-retention: must be a whole number from 0 to 315360000, not "
       "\"99999999999999999999\""},
      {{"keep-alive", "c", "1h"}, "SECONDS: must be a whole number from 0 to 86400, not \"1h\""},
      {{"events", "c", "--after", "x"}, "--after: must be a whole number from 0 on, not \"x\""},
      {{"logs", "c", "p1", "--after", "1.5"},
       "--after: must be a whole number from 0 on, not \"1.5\""},
      {{"preview", "c", "65536"}, "PORT: must be a whole number from 1 to 65535, not \"65536\""},
      {{"exec", "c", "--timeout", "nan", "--", "a"},
       "--timeout: must be a number from 0.001 to 86400, not \"nan\""},
      {{"-o", "yaml", "ls"}, "--output: must be text or json, not \"yaml\""},
      {{"network", "c", "open"}, "ACTION: must be show, allow, deny or set, not \"open\""},
      {{"keys", "create", "k", "--scope", "read,all"},
       "--scope: must be read, write, admin or metrics, not \"all\""},
      {{"exec", "c", "--env", "A", "--", "a"}, "--env: must be NAME=VALUE, not \"A\""},
      {{"keys", "create", "k", "--scope", "read", "--expires", "soon"},
       "--expires: must be a time such as 90s, 15m, 1h or 7d, not \"soon\""},
      {{"events", "c", "--tail"}, "--tail: needs a value"},
      {{"create", "c", "--allow"}, "--allow: needs a value"},
      {{"get", "c", "d"}, "get: \"d\" is a word too many"}};
  for (const Case& each : cases) {
    CAPTURE(each.text);
    const auto line = read(each.words);
    const auto* usage = std::get_if<Usage>(&line);
    REQUIRE(usage != nullptr);
    CHECK(usage->exit_code == 2);
    CHECK(usage->text == each.text + "\nRun with --help for more information.\n");
  }
  CHECK(command_of<Create>({"create", "c", "--file-events"}).file_events == true);
  CHECK(command_of<Create>({"create", "c", "--no-file-events"}).file_events == false);
  CHECK(command_of<Create>({"create", "c", "--file-events=false"}).file_events == false);
}

TEST_CASE("help is no mistake, and a mistake is exit code 2") {
  CHECK(usage_of({"--help"}) == 0);
  CHECK(usage_of({"exec", "--help"}) == 0);
  CHECK(usage_of({}) == 2);
  CHECK(usage_of({"nope"}) == 2);
  CHECK(std::get<Usage>(read({"nope"})).text ==
        "there is no command \"nope\"; cellar --help lists them\n");
  CHECK(std::get<Usage>(read({"runs", "c--x"})).text ==
        "there is no command \"runs c--x\"; cellar runs --help lists them\n");
  CHECK(std::get<Usage>(read({"lst"})).text ==
        "there is no command \"lst\"; \"ls\" is near; cellar --help lists them\n");
  CHECK(std::get<Usage>(read({"runs", "awiat"})).text ==
        "there is no command \"runs awiat\"; \"runs await\" is near; cellar runs --help lists "
        "them\n");
  CHECK(std::get<Usage>(read({"create", "c", "--alow", "a.b"})).text ==
        "cellar create has no option \"--alow\"; \"--allow\" is near; cellar create --help lists "
        "them\n");
  CHECK(std::get<Usage>(read({"ls", "--frobnicate"})).text ==
        "cellar ls has no option \"--frobnicate\"; cellar ls --help lists them\n");
  CHECK(usage_of({"exec", "c", "--timeout", "0", "--", "a"}) == 2);
  CHECK(usage_of({"exec", "c", "--timeout", "1e300", "--", "a"}) == 2);
  CHECK(usage_of({"get"}) == 2);
  CHECK(usage_of({"get", "a", "b"}) == 2);
  CHECK(std::get<Usage>(read({"rm", ""})).text.starts_with("ID: must not be empty\n"));
  CHECK(std::get<Usage>(read({"exec", "c", "ls"})).text ==
        "a command comes behind --: cellar exec ID -- CMD...\n");
  CHECK(usage_of({"ls", "-o", "yaml"}) == 2);
  CHECK(usage_of({"search", "c", "q", "--limit", "0"}) == 2);
  CHECK(usage_of({"search", "c", "q", "--mode", "fuzzy"}) == 2);
  CHECK(usage_of({"search", "c", "q", "--per-file", "101"}) == 2);
  CHECK(usage_of({"search", "c", "q", "--symbols", "--mode", "regex"}) == 2);
  CHECK(usage_of({"events", "c", "r", "--after", "-1"}) == 2);
  CHECK(usage_of({"events", "c", "r", "--tail", "1"}) == 2);
  CHECK(usage_of({"events", "c", "--tail", "1", "--after", "1"}) == 2);
  CHECK(usage_of({"events", "c", "--tail", "1001"}) == 2);
  CHECK(usage_of({"events", "c", "--view", "all"}) == 2);
  CHECK(usage_of({"runs"}) == 2);
  CHECK(usage_of({"runs", "get", "c", ""}) == 2);
  CHECK(usage_of({"runs", "start", "c"}) == 2);
  CHECK(usage_of({"runs", "start", "c", "m", ""}) == 2);
  CHECK(usage_of({"runs", "event", "c", "r", "t", ""}) == 2);
  CHECK(usage_of({"request", "c", "m", ""}) == 2);
  CHECK(usage_of({"init", ""}) == 2);
  CHECK(usage_of({"deploy", "agent.js", ""}) == 2);
  CHECK(usage_of({"runs", "start", "c", "m", "--key", "a\nX-Evil: 1"}) == 2);
  CHECK(usage_of({"runs", "start", "c", "m", "--key", ""}) == 2);
  CHECK(usage_of({"runs", "await", "c", "r", "--timeout", "soon"}) == 2);
  CHECK(usage_of({"runs", "resume", "c", "r", "--retry", "--fail"}) == 2);
  CHECK(usage_of({"runs", "resume", "c", "r", "--step", "1"}) == 2);
  CHECK(usage_of({"runs", "resume", "c", "r", "--executed", "1", "--upgrade"}) == 2);
  CHECK(usage_of({"runs", "resume", "c", "r", "--retry", "--value", "1"}) == 2);
  CHECK(usage_of({"runs", "cancel", "c", "r", "--grace", "600001"}) == 2);
  CHECK(usage_of({"runs", "event", "c", "r"}) == 2);
}

}  // namespace cellar::cli
