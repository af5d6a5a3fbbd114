#include "cell/frame_check.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "cell/runner_parts.h"

namespace cellar::cell {
namespace {

// As long as any that there is; each is kept for each command of a run.
constexpr std::size_t kKindBytesMax = 32;
constexpr std::size_t kFingerprintBytesMax = 16;

constexpr std::array<std::string_view, 9> kCommands = {
    "step", "fetch", "shell", "sleep", "wait", "approval", "llm", "spawn", "child"};
constexpr std::array<std::string_view, 4> kPolicies = {"", "retry", "fail", "ask"};

[[noreturn]] void refuse(const Run& run, const AgentFrame& frame, std::string_view why) {
  throw Error(ErrorCode::corrupt, "it sent a \"" + text_of(frame.header, "t") + "\" of run " +
                                      run.id + ", ordinal " + std::to_string(ordinal_of(frame)) +
                                      ", that no agent host sends: " + std::string(why));
}

template <typename List>
bool holds(const List& list, const std::string& text) {
  return std::ranges::find(list, text) != list.end();
}

void check_words(const Run& run, const AgentFrame& frame) {
  const bool is_short = text_of(frame.header, "k").size() <= kKindBytesMax &&
                        text_of(frame.header, "fp").size() <= kFingerprintBytesMax;
  if (!is_short) refuse(run, frame, "its kind or fingerprint is too long");
}

// A place of its own in the record.
void check_new(const Run& run, const AgentFrame& frame) {
  const std::uint32_t ordinal = ordinal_of(frame);
  if (ordinal <= run.base) refuse(run, frame, "the ordinal is none of this generation");
  if (run.steps.contains(ordinal)) refuse(run, frame, "the ordinal is taken");
}

// What begins anew, or again as it was recorded.
void check_command(const Run& run, const AgentFrame& frame) {
  const std::string kind = text_of(frame.header, "k");
  if (!holds(kCommands, kind)) refuse(run, frame, "there is no such kind");
  if (!holds(kPolicies, text_of(frame.header, "pol")))
    refuse(run, frame, "there is no such policy");
  const auto step = run.steps.find(ordinal_of(frame));
  if (step == run.steps.end()) return;
  const bool is_same = step->second.kind == kind && step->second.name == text_of(frame.header, "n");
  if (!is_same) refuse(run, frame, "something else has the ordinal");
}

}  // namespace

void check_frame(const Run& run, const AgentFrame& frame) {
  const std::string type = text_of(frame.header, "t");
  check_words(run, frame);
  if (type == "cmd") {
    check_command(run, frame);
  } else if (type == "value" || type == "setup.done") {
    check_new(run, frame);
    const std::string kind = text_of(frame.header, "k");
    if (kind == "setup" || kind == kRollback) refuse(run, frame, "it has a frame of its own");
  } else if ((type == "call" || type == "event") && ordinal_of(frame) != 0) {
    check_new(run, frame);
  } else if (type == "done" || type == "failed" || type == "progress") {
    if (!run.steps.contains(ordinal_of(frame))) refuse(run, frame, "no such step has begun");
  } else if (type == "continue" || type == kRollback) {
    check_new(run, frame);
  }
}

}  // namespace cellar::cell
