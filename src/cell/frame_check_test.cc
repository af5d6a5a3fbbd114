#include "cell/frame_check.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

// Behind a state at ordinal 3 it has a step "a" that has begun, and a value.
Run some_run() {
  Run run;
  run.id = "run_1_ab";
  run.base = 3;
  run.steps[4] = {.ordinal = 4, .kind = "step", .name = "a"};
  run.steps[5] = {.ordinal = 5, .kind = "now", .status = StepStatus::ok};
  return run;
}

// What is wrong with it; empty for nothing.
std::string problem_of(const std::string& header) {
  const Run run = some_run();
  AgentFrame frame;
  frame.header = json::parse(header);
  try {
    check_frame(run, frame);
    return "";
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(std::string(error.what()).find("of run run_1_ab") != std::string::npos);
    return error.what();
  }
}

bool is_taken(const std::string& header) { return problem_of(header).empty(); }

}  // namespace

TEST_CASE("what a host says of a run is taken") {
  for (const char* header :
       {R"({"t":"cmd","o":6,"k":"step","n":"b","fp":""})",
        R"({"t":"cmd","o":4,"k":"step","n":"a"})",
        R"({"t":"cmd","o":0,"k":"shell","n":"ls","x":1,"in":4})",
        R"({"t":"cmd","o":6,"k":"fetch","n":"GET /","fp":"0123456789abcdef","pol":"ask"})",
        R"({"t":"value","o":6,"k":"uuid","n":"","fp":"0123456789abcdef"})",
        R"({"t":"setup.done","o":6})", R"({"t":"call","o":0,"op":"journal.sync"})",
        R"({"t":"call","o":6,"op":"db.set"})", R"({"t":"done","o":4,"ok":true})",
        R"({"t":"progress","o":4,"x":1,"try":1})", R"({"t":"failed","o":4,"n":1,"delay":5})",
        R"({"t":"continue","o":6})", R"({"t":"rollback","o":6,"n":"failed"})",
        R"({"t":"event","o":0,"type":"log","in":4})", R"({"t":"event","o":6,"type":"stream"})",
        R"({"t":"end","ok":true})"}) {
    CHECK_MESSAGE(is_taken(header), header);
  }
}

TEST_CASE("what would spoil the record of a run is refused") {
  const std::string long_text(33, 'f');
  for (const std::string& header : {std::string(R"({"t":"cmd","o":6,"k":"unknown"})"),
                                    std::string(R"({"t":"cmd","o":6})"),
                                    std::string(R"({"t":"cmd","o":6,"k":"step","pol":"never"})"),
                                    R"({"t":"cmd","o":6,"k":"step","fp":")" + long_text + "\"}",
                                    std::string(R"({"t":"cmd","o":4,"k":"step","n":"b"})"),
                                    std::string(R"({"t":"cmd","o":5,"k":"wait","n":""})"),
                                    std::string(R"({"t":"value","o":4,"k":"now"})"),
                                    std::string(R"({"t":"value","o":5,"k":"now"})"),
                                    std::string(R"({"t":"value","o":0,"k":"now"})"),
                                    std::string(R"({"t":"value","o":3,"k":"now"})"),
                                    std::string(R"({"t":"value","o":6,"k":"setup"})"),
                                    std::string(R"({"t":"value","o":6,"k":"rollback"})"),
                                    R"({"t":"value","o":6,"k":")" + long_text + "\"}",
                                    std::string(R"({"t":"call","o":5,"op":"db.set"})"),
                                    std::string(R"({"t":"event","o":4,"type":"stream"})"),
                                    std::string(R"({"t":"event","o":3,"type":"log"})"),
                                    std::string(R"({"t":"setup.done","o":5})"),
                                    std::string(R"({"t":"done","o":6,"ok":true})"),
                                    std::string(R"({"t":"failed","o":7,"n":1})"),
                                    std::string(R"({"t":"progress","o":0})"),
                                    std::string(R"({"t":"continue","o":3})"),
                                    std::string(R"({"t":"rollback","o":0})")}) {
    CHECK_MESSAGE(!is_taken(header), header);
  }
}

}  // namespace cellar::cell
