#include <doctest/doctest.h>

#include "cli/test_call.h"

namespace cellar::cli {

TEST_CASE("files are listed, read, changed, found and watched by the calls of the interface") {
  FakeDaemon daemon([](const Seen& seen) {
    if (seen.target.ends_with("?watch=1")) {
      return reply(200, "text/event-stream",
                   "event: ready\ndata: {\"path\":\".\"}\n\nevent: renamed\ndata: "
                   "{\"path\":\"b\",\"from\":\"a\",\"type\":\"file\"}\n\n"
                   "event: deleted\ndata: {\"path\":\".\",\"type\":\"directory\"}\n\n");
    }
    if (seen.target.ends_with("/grep")) {
      return json_reply(200, R"({"matches":[{"path":"a","line":2,"text":"x","before":["w"],
                                 "after":["y"]},{"path":"b","line":1,"text":"x","before":[],
                                 "after":[]}],"truncated_by":"limit"})");
    }
    if (seen.method == "GET" && !seen.target.ends_with("=1")) {
      return reply(200, "application/octet-stream", "bytes");
    }
    return json_reply(200, R"({"files":[{"path":"l","type":"symlink","size":1,"mtime":"t",
                               "mode":"0777","target":"to"}],"truncated":true})");
  });
  CHECK(call(daemon.url(), {"files", "ls", "c", "/a b", "-r"}).out ==
        "0777\tsymlink\t1\tt\tl -> to\n");
  CHECK(call(daemon.url(), {"files", "ls", "c"}).err == "cellar: there are more than these\n");
  CHECK(call(daemon.url(), {"files", "cat", "c", "d/f"}).out == "bytes");
  CHECK(call(daemon.url(), {"files", "mv", "c", "a", "/b", "--overwrite"}).out.empty());
  CHECK(call(daemon.url(), {"files", "grep", "c", "x", "-i", "-C", "1", "--path", "*.c"}).out ==
        "a-1-w\na:2:x\na-3-y\n--\nb:1:x\n");
  CHECK(call(daemon.url(), {"files", "glob", "c", "*.[ab]", "src"}).out == "l\n");
  CHECK(call(daemon.url(), {"files", "watch", "c"}).out == "renamed\ta -> b\ndeleted\t.\n");
  CHECK(call(daemon.url(), {"files", "rm", "c", "f", "--if-match", "\"t\""}).exit_code == 0);
  const auto seen = daemon.seen();
  CHECK(seen.at(0).target == "/api/v1/cells/c/files/a%20b?list=1&recursive=1");
  CHECK(seen.at(1).target == "/api/v1/cells/c/files?list=1");
  CHECK(seen.at(2).target == "/api/v1/cells/c/files/d/f");
  CHECK(body_of(seen.at(3)) == json::parse(R"({"from":"a","to":"b","overwrite":true})"));
  CHECK(
      body_of(seen.at(4)) ==
      json::parse(R"({"path":".","pattern":"x","paths":["*.c"],"context":1,"ignore_case":true})"));
  CHECK(body_of(seen.at(5)) == json::parse(R"({"path":"src","pattern":"*.[ab]"})"));
  CHECK(seen.at(7).method == "DELETE");
  CHECK(seen.at(7).headers.at("if-match") == "\"t\"");
  CHECK(call(daemon.url(), {"files", "rm", "c", "/"}).exit_code == 1);
  CHECK(call(daemon.url(), {"files", "cat", "c", "/"}).exit_code == 1);
  CHECK(call(daemon.url(), {"files"}).exit_code == 2);
  CHECK(call(daemon.url(), {"files", "glob", "c", "*", "--limit", "0"}).exit_code == 2);
}

TEST_CASE("a watch comes back where it was lost, says so, and ends with its folder") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) -> std::string {
    switch (connection++) {
      case 0:
        return torn_event_reply(
            "id: 1\nevent: ready\ndata: {\"path\":\"d\"}\n\n"
            "id: 2\nevent: created\ndata: {\"path\":\"d/a\"}\n\nid: 3\nevent: del");
      case 1:
        return json_reply(503, R"({"error":"starting"})");
      case 2:
        return event_reply(
            "id: 3\nevent: reset\ndata: {\"path\":\"d\"}\n\n"
            "id: 4\nevent: error\ndata: {\"error\":\"x\",\"code\":\"x\",\"status\":503}\n\n");
      default:
        return event_reply(
            "id: 4\nevent: deleted\ndata: {\"path\":\"d/a\"}\n\n"
            "id: 5\nevent: deleted\ndata: {\"path\":\"d\"}\n\n");
    }
  });
  const Result result = call(daemon.url(), {"files", "watch", "c", "/d"});
  CHECK(result.exit_code == 0);
  CHECK(result.out == "created\td/a\ndeleted\td/a\ndeleted\td\n");
  CHECK(result.err == "cellar: the connection was lost: what happened meanwhile is not told\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 4);
  CHECK_FALSE(seen[0].headers.contains("last-event-id"));
  CHECK(seen[1].headers.at("last-event-id") == "2");
  CHECK(seen[3].headers.at("last-event-id") == "3");
  FakeDaemon full([](const Seen&) {
    return event_reply(
        "event: error\ndata: {\"error\":\"full\",\"code\":\"x\",\"status\":507}\n\n");
  });
  CHECK(call(full.url(), {"files", "watch", "c"}).err == "cellar: full\n");
}

TEST_CASE("what the daemon refuses of files is told with the command that helps") {
  std::string reason;
  FakeDaemon daemon([&](const Seen&) {
    return json_reply(400, R"({"error":"e","remediation":"tar=1","code":")" + reason + R"("})");
  });
  for (const auto& [code, part] :
       std::vector<std::pair<std::string, std::string>>{{"path_exists", "--overwrite"},
                                                        {"not_a_file", "\"cellar files ls\""},
                                                        {"body_too_large", "\"cellar cp\""}}) {
    reason = code;
    const std::string told = call(daemon.url(), {"files", "mv", "c", "a", "b"}).err;
    CHECK(told.find(part) != std::string::npos);
    CHECK(told.find("tar=1") == std::string::npos);
  }
  const Result folder = call(daemon.url(), {"files", "write", "c", "d/"});
  CHECK(folder.exit_code == 1);
  CHECK(folder.err.find("\"cellar files mkdir\"") != std::string::npos);
}

}  // namespace cellar::cli
