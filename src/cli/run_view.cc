#include "cli/run_view.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/text.h"
#include "cli/agent_place.h"
#include "cli/commands.h"
#include "json/json.h"

namespace cellar::cli {
namespace {

using std::chrono::milliseconds;

std::vector<json::Value> list_of(const json::Value& object, std::string_view name) {
  const json::Value* list = object.find(name);
  if (list == nullptr || !list->is_array()) return {};
  return {list->as_array().begin(), list->as_array().end()};
}

const json::Value* member_of(const json::Value* object, std::string_view name) {
  return object == nullptr || !object->is_object() ? nullptr : object->find(name);
}

// `cellar runs VERB CELL RUN`, to be typed.
std::string command(std::string_view verb, const RunRef& ref, std::string_view options = {}) {
  return "\"cellar runs " + std::string(verb) + " " + ref.cell_id + " " + ref.run_id +
         std::string(options) + "\"";
}

// As one word of a shell.
std::string shell_word(const std::string& text) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == ':' || c == '/';
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

// ---- what it waits for ----

std::string wait_of(const json::Value& step) {
  const std::string kind = column(step, "kind");
  const std::string name = column(step, "name");
  std::string text;
  if (kind == "wait") {
    text = "for an event \"" + column(step, "type") + "\"";
    if (const std::string match = column(step, "match"); !match.empty()) text += " with " + match;
  } else if (kind == "approval") {
    text = "for an approval \"" + name + "\"";
    if (const std::string prompt = column(step, "prompt"); !prompt.empty()) text += ": " + prompt;
    if (const std::string data = column(step, "data"); !data.empty()) text += " " + data;
  } else if (kind == "child") {
    text = "for the run " + column(step, "run");
  }
  if (const std::string until = column(step, "until"); !until.empty()) {
    text += (text.empty() ? "until " : ", until ") + until;
  }
  return text;
}

RunTrouble waiting_of(const json::Value& run, const RunRef& ref) {
  RunTrouble trouble;
  std::size_t approval_count = 0;
  std::string event;  // its type, and what its payload must have
  for (const json::Value& step : list_of(run, "steps")) {
    if (column(step, "status") != "waiting") continue;
    trouble.why += (trouble.why.empty() ? "" : "; ") + wait_of(step);
    if (column(step, "kind") == "approval") ++approval_count;
    if (column(step, "kind") != "wait") continue;
    event = " " + shell_word(column(step, "type"));
    if (const json::Value* match = step.find("match"))
      event += " " + shell_word(json::dump(*match));
  }
  if (approval_count > 0) {
    trouble.remedy = command("approve", ref) + " approves, with --refuse it refuses";
    if (approval_count > 1) trouble.remedy += "; --step names which";
  } else if (!event.empty()) {
    trouble.remedy = command("event", ref, event) + " sends one, with what else it is to hold";
  }
  return trouble;
}

// ---- why it is paused ----

std::string pause_words(const json::Value& run) {
  const json::Value* detail = run.find("detail");
  if (detail == nullptr || detail->is_null()) {
    return column(run, "reason") == "user" ? "its owner paused it" : "";
  }
  if (!detail->is_object()) return format_value(*detail);
  return difference_of(*detail);
}

// So that it is about no other step, and no other execution, when it is typed a second time.
std::string step_options(const json::Value& run) {
  const json::Value* ordinal = member_of(run.find("detail"), "ordinal");
  const json::Value* executed = member_of(run.find("detail"), "executed");
  if (ordinal == nullptr || executed == nullptr) return "";
  return " --step " + format_value(*ordinal) + " --executed " + format_value(*executed);
}

std::string pause_remedy(const json::Value& run, const RunRef& ref) {
  const std::string reason = column(run, "reason");
  const std::string resume = command("resume", ref);
  if (reason == "ambiguous_step") {
    return "look whether it was done, then " + command("resume", ref, step_options(run)) +
           " with --retry, --fail or --value JSON";
  }
  if (reason == "crash_loop") {
    return command("log", ref) + " tells what it did, \"cellar request " + ref.cell_id +
           " logs\" what it printed; " + resume + " lets it try again, and with --upgrade on the " +
           "agent that was deployed since";
  }
  if (reason == "replay_mismatch") {
    return "its code must ask for the same each time: put a version there that does, " +
           command("replay", ref) + " tries it, " + resume + " --upgrade takes it; " +
           command("cancel", ref) + " gives the run up";
  }
  if (reason == "replay_too_large") {
    return "start cellard with a larger --run-replay-bytes-max, then " + resume;
  }
  const json::Value* remediation = member_of(run.find("detail"), "remediation");
  const bool is_told =
      remediation != nullptr && remediation->is_string() && !remediation->as_string().empty();
  return (is_told ? remediation->as_string() + "; " : "") + resume + " lets it go on";
}

// It is asked for still: an approval may be given, an event may come while the run is paused.
RunTrouble paused_of(const json::Value& run, const RunRef& ref) {
  RunTrouble trouble{pause_words(run), pause_remedy(run, ref)};
  const RunTrouble waits = waiting_of(run, ref);
  if (!waits.why.empty()) trouble.why += "; it waits " + waits.why;
  if (!waits.remedy.empty()) trouble.remedy += "; " + waits.remedy;
  return trouble;
}

// ---- why it stands still ----

// Its steps that have failed and are tried again, the first one first.
std::string retries_of(const json::Value& run) {
  std::string text;
  for (const json::Value& step : list_of(run, "steps")) {
    const std::string at = column(step, "retry_at");
    if (at.empty()) continue;
    text += (text.empty() ? "" : "; ") + column(step, "kind") + " \"" + column(step, "name") +
            "\" failed, attempt " + column(step, "attempts") + " follows at " + at;
  }
  return text;
}

const std::map<std::string, const char*, std::less<>> kStandsFor = {
    {"backoff", "its agent has ended: another attempt follows"},
    {"journal_full", "the disk, or what its cell may take of it, has no room for its journal"},
    {"no_capacity", "the machine has no room to wake its cell"},
    {"other_agent", "runs of an agent in the other language have the process"},
    {"rollback", "it undoes what its steps did"},
};

RunTrouble standing_of(const json::Value& run, const RunRef& ref) {
  const std::string reason = column(run, "reason");
  if (reason == "retry") return {retries_of(run), command("log", ref) + " tells how they failed"};
  const auto words = kStandsFor.find(reason);
  return {words == kStandsFor.end() ? "" : words->second, ""};
}

// ---- how long ----

std::optional<WallTime> time_of(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  const int count = std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day,
                                &hour, &minute, &second, &ms);
  if (count != 7) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + milliseconds(ms);
}

std::string format_duration(milliseconds length) {
  const auto count = static_cast<long long>(std::max(length, milliseconds(0)).count());
  const auto pair = [](long long large, const char* unit, long long small, const char* rest) {
    return std::to_string(large) + unit + " " + std::to_string(small) + rest;
  };
  const long long seconds = count / 1000;
  if (seconds < 1) return std::to_string(count) + "ms";
  if (seconds < 60) return std::to_string(seconds) + "." + std::to_string(count % 1000 / 100) + "s";
  if (seconds < 3600) return pair(seconds / 60, "m", seconds % 60, "s");
  if (seconds < 86'400) return pair(seconds / 3600, "h", seconds % 3600 / 60, "m");
  return pair(seconds / 86'400, "d", seconds % 86'400 / 3600, "h");
}

// What has no end of its own goes on until that of its run, if there is one.
std::string took_of(const json::Value& step, const json::Value& run, WallTime now) {
  if (column(step, "status") == "interrupted") return "";  // Nobody knows when.
  const auto begun = time_of(column(step, "started_at"));
  if (!begun) return "";
  auto ended = time_of(column(step, "ended_at"));
  if (!ended) ended = time_of(column(run, "ended_at"));
  const auto length = std::chrono::duration_cast<milliseconds>(ended.value_or(now) - *begun);
  return format_duration(length) + (ended ? "" : " so far");
}

// "merged, typo (2)".
std::string kept_events_of(const json::Value& run) {
  std::string text;
  for (const json::Value& kept : list_of(run, "kept_events")) {
    const std::string count = column(kept, "count");
    text += (text.empty() ? "" : ", ") + column(kept, "type");
    if (count != "1") text += " (" + count + ")";
  }
  return text;
}

// The last that the agent printed before it ended, where that is why the run is paused.
std::string printed_of(const json::Value& run) {
  const json::Value* output = member_of(run.find("detail"), "output");
  const bool is_told = output != nullptr && output->is_array() && !output->as_array().empty();
  return is_told ? format_value(output->as_array().back()) : "";
}

// What became of the rollbacks of a run that has failed or was cancelled; empty where it had none.
std::string rollback_of(const json::Value& error) {
  const json::Value* told = error.is_object() ? error.find("rollback") : nullptr;
  if (told == nullptr || !told->is_object()) return "";
  const auto names = [told](const char* key) {
    const json::Value* list = told->find(key);
    std::string text;
    if (list == nullptr || !list->is_array()) return text;
    for (const json::Value& name : list->as_array()) {
      text += (text.empty() ? "" : ", ") + format_value(name);
    }
    return text;
  };
  std::string text;
  if (const std::string done = names("done"); !done.empty()) text += "; rolled back: " + done;
  if (const json::Value* failed = told->find("failed")) {
    const json::Value* why = member_of(failed, "error");
    text += "; the rollback of " + column(*failed, "name") +
            " failed: " + (why == nullptr ? "" : column(*why, "message"));
  }
  if (const std::string rest = names("not_run"); !rest.empty())
    text += "; not rolled back: " + rest;
  return text;
}

// How a run that has failed goes on, once its code is repaired: nothing that was done is done
// again.
std::string repair_remedy(const json::Value& run, const RunRef& ref) {
  const json::Value* error = run.find("error");
  const bool is_undone = error != nullptr && member_of(error, "rollback") != nullptr;
  const auto steps = list_of(run, "steps");
  const auto failed = std::find_if(steps.rbegin(), steps.rend(), [](const json::Value& step) {
    return column(step, "status") == "failed";
  });
  std::string from = " --from-end";
  std::string place = "behind all that is recorded";
  if (is_undone || steps.empty()) {
    from = "";
    place = "from the beginning";
  } else if (failed != steps.rend()) {
    from = " --from-ordinal " + column(*failed, "ordinal");
    place = "from " + column(*failed, "kind") + " \"" + column(*failed, "name") + "\"";
  }
  return "repair its code and deploy it, then " + command("restart", ref, from + " --upgrade") +
         " goes on " + place;
}

}  // namespace

// Python's KeyError('zz') has the message 'zz': nobody could tell what that is.
std::string error_words(const json::Value& error) {
  if (!error.is_object()) return format_value(error);
  const std::string name = column(error, "name");
  const std::string message = column(error, "message");
  const bool says_nothing =
      name.empty() || name == "Error" || name == "Exception" || name == "AgentError";
  if (message.empty()) return name.empty() ? format_value(error) : name;
  return says_nothing ? message : name + ": " + message;
}

std::string difference_of(const json::Value& detail) {
  const std::string message = column(detail, "message");
  return message.empty() ? json::dump(detail) : message;
}

std::string replay_remedy(const json::Value& detail) {
  const json::Value* got = member_of(&detail, "got");
  const std::string code = column(detail, "code");
  if (got != nullptr && column(*got, "k") == "nothing") {
    return "look at what its code waits for outside of steps";
  }
  if (got != nullptr)
    return "mark what is new with ctx.getVersion, and what is gone with ctx.removed";
  if (code == "agent_load_failed") return "repair the file";
  if (code == "method_not_found") return "keep the method for as long as a run needs it";
  return "";
}

RunTrouble trouble_of(const json::Value& run, const RunRef& ref) {
  const std::string status = column(run, "status");
  if (status == "waiting") return waiting_of(run, ref);
  if (status == "paused") return paused_of(run, ref);
  if (status == "running") return standing_of(run, ref);
  if (status != "failed" && status != "cancelled") return {};
  const json::Value* error = run.find("error");
  if (error == nullptr || error->is_null()) return {};
  return {error_words(*error) + rollback_of(*error),
          status == "failed" ? repair_remedy(run, ref) : ""};
}

std::string status_of(const json::Value& run) {
  const std::string reason = column(run, "reason");
  return column(run, "status") + (reason.empty() ? "" : " (" + reason + ")");
}

std::string format_run(const json::Value& run, const RunRef& ref, Look look) {
  json::Value shown = json::object(
      {{"id", column(run, "id")}, {"method", column(run, "method")}, {"status", status_of(run)}});
  json::Object& members = shown.as_object();
  const RunTrouble trouble = trouble_of(run, ref);
  if (!trouble.why.empty()) members.set("why", trouble.why);
  if (const json::Value* error = run.find("error")) {
    if (const std::string place = place_in_agent(*error); !place.empty()) {
      members.set("where", place);
    }
  }
  if (!trouble.remedy.empty()) members.set("remedy", trouble.remedy);
  if (const std::string kept = kept_events_of(run); !kept.empty()) {
    members.set("kept_events", kept);
  }
  if (const std::string printed = printed_of(run); !printed.empty()) {
    members.set("printed", printed);
  }
  for (const char* name : {"attempt", "generation", "steps_done", "llm_tokens", "started_at",
                           "ended_at", "restarted_from", "parent", "params", "result"}) {
    if (const json::Value* value = run.find(name)) members.set(name, *value);
  }
  if (const std::string digest = short_digest(run); !digest.empty()) members.set("agent", digest);
  return format_record(shown, look);
}

std::string format_steps(const json::Value& run, WallTime now, Look look) {
  constexpr std::size_t kNameShown = 48;  // at a terminal, in bytes
  const auto fitting = [look](std::string name) {
    if (look == Look::plain || name.size() <= kNameShown) return name;
    name.resize(utf8_floor(name, kNameShown));
    return name + "…";
  };
  std::vector<Row> rows;
  for (const json::Value& step : list_of(run, "steps")) {
    const std::string redacted = column(step, "sensitive").empty() ? "" : " (redacted)";
    rows.push_back({column(step, "ordinal"), fitting(column(step, "name")), column(step, "kind"),
                    column(step, "status") + redacted, column(step, "executed"),
                    column(step, "attempts"), took_of(step, run, now)});
  }
  return format_table({"STEP", "NAME", "KIND", "STATUS", "EXECUTED", "ATTEMPTS", "TOOK"}, rows,
                      look);
}

}  // namespace cellar::cli
