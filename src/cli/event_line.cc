#include "cli/event_line.h"

#include <cstdint>

#include "base/clock.h"
#include "base/text.h"
#include "cli/agent_place.h"
#include "cli/commands.h"
#include "cli/run_view.h"
#include "json/json.h"

namespace cellar::cli {
namespace {

std::string message_of(const json::Value& data, std::string_view key) {
  const json::Value* error = data.find(key);
  return error == nullptr || error->is_null() ? "" : error_words(*error);
}

// "it broke (agent.js:3:14)", or a message that says where by itself.
std::string failure_of_run(const json::Value& data) {
  const json::Value* error = data.find("error");
  const std::string place = error == nullptr ? "" : place_in_agent(*error);
  const std::string message = message_of(data, "error");
  const bool is_said = place.empty() || message.find(place) != message.npos;
  return message + (is_said ? "" : " (" + place + ")");
}

// "2 plan", with its kind where that is not just a step.
std::string step_of(const json::Value& data) {
  const std::string kind = column(data, "kind");
  std::string text = column(data, "ordinal");
  if (const std::string name = column(data, "name"); !name.empty()) text += " " + name;
  return kind.empty() || kind == "step" ? text : text + " (" + kind + ")";
}

bool is_failed(const json::Value& data) {
  const json::Value* ok = data.find("ok");
  return ok != nullptr && ok->is_bool() && !ok->as_bool();
}

std::string output_of(const json::Value& data) {
  const std::string text = column(data, "text");
  return text.empty() ? from_base64(column(data, "b64")).value_or("") : text;
}

std::string log_of(const json::Value& data) {
  const std::string level = column(data, "level");
  const std::string message = column(data, "message");
  if (level.empty()) return format_value(data);
  return level == "info" ? message : level + ": " + message;
}

std::string retry_of(const json::Value& data) {
  const json::Value* next = data.find("next_at");
  std::string text = step_of(data) + ": attempt " + column(data, "attempt") +
                     " failed: " + message_of(data, "error");
  if (next != nullptr && next->is_int()) {
    text += "; the next one at " + to_iso8601(from_unix_ms(next->as_int()));
  }
  return text;
}

// "from memory in 0.4 ms, 3 processes; lost: sleep 1000".
std::string return_of(const json::Value& data) {
  std::string text = "from " + column(data, "from") + " in " + column(data, "took_ms") + " ms";
  const json::Value* processes = data.find("processes");
  if (processes == nullptr) return text;
  text += ", " + column(*processes, "survived") + " processes";
  const json::Value* lost = processes->find("lost");
  if (lost == nullptr || !lost->is_array()) return text;
  const char* before = "; lost: ";
  for (const json::Value& program : lost->as_array()) {
    text += before + column(program, "command");
    before = ", ";
  }
  return text;
}

// "created src/a, renamed b to c, more in node_modules"; "list them again: overflow".
std::string changes_of(const json::Value& data) {
  if (data.find("reset") != nullptr) {
    const std::string message = column(data, "message");
    return "list them again: " + column(data, "reason") + (message.empty() ? "" : ": " + message);
  }
  std::string text;
  const auto add = [&text](const std::string& words) {
    text += (text.empty() ? "" : ", ") + words;
  };
  const auto each = [&data](const char* name, const auto& tell) {
    const json::Value* list = data.find(name);
    if (list == nullptr || !list->is_array()) return;
    for (const json::Value& one : list->as_array()) tell(one);
  };
  each("changes", [&](const json::Value& change) {
    const std::string from = column(change, "from");
    add(column(change, "kind") + " " + (from.empty() ? "" : from + " to ") +
        column(change, "path"));
  });
  each("folders", [&](const json::Value& folder) {
    if (folder.is_string()) add("more in " + folder.as_string());
  });
  return text;
}

// "shell, pypi.org:443: not_listed. To allow it, …".
std::string refusal_of(const json::Value& data) {
  const std::string remedy = column(data, "remediation");
  return column(data, "domain") + ", " + column(data, "host") + ":" + column(data, "port") + ": " +
         column(data, "reason") + (remedy.empty() ? "" : ". " + remedy);
}

// "p3: exit code 1: npm test".
std::string end_of_process(const json::Value& data) {
  std::string text = column(data, "id") + ": exit code " + column(data, "exit_code");
  if (const std::string lost_by = column(data, "lost_by"); !lost_by.empty()) {
    text += ", lost by " + lost_by;
  }
  return text + ": " + column(data, "command");
}

std::string pause_of(const json::Value& data) {
  const json::Value* detail = data.find("detail");
  const bool is_told = detail != nullptr && detail->is_object();
  return column(data, "reason") + (is_told ? ": " + difference_of(*detail) : "");
}

// What happened, in words; as JSON where this client knows none for it.
std::string words_of(const std::string& type, const json::Value& data) {
  if (!data.is_object()) return data.is_null() ? "" : json::dump(data);
  if (type == "stdout" || type == "stderr") return output_of(data);
  if (type == "log") return log_of(data);
  if (type == "run.started") return column(data, "method");
  if (type == "run.attempt") return column(data, "attempt") + ": " + column(data, "cause");
  if (type == "run.paused") return pause_of(data);
  if (type == "run.resumed") return "";
  if (type == "cell.paused" || type == "cell.hibernated") return column(data, "reason");
  if (type == "cell.resumed") return return_of(data);
  if (type == "files.changed") return changes_of(data);
  if (type == "network.refused") return refusal_of(data);
  if (type == "process.started") return column(data, "id") + ": " + column(data, "command");
  if (type == "process.exited") return end_of_process(data);
  if (type == "stale") return "what followed " + column(data, "after") + " is not kept any more";
  if (type == "run.rollback") return column(data, "reason") + ": " + message_of(data, "error");
  if (type == "run.completed") {
    const json::Value* result = data.find("result");
    return result == nullptr ? "" : json::dump(*result);
  }
  if (type == "run.failed" || type == "run.cancelled") return failure_of_run(data);
  if (type == "step.started") return step_of(data);
  if (type == "reset") return step_of(data) + ": again, execution " + column(data, "execution");
  if (type == "step.retry") return retry_of(data);
  if (type == "step.interrupted") return step_of(data) + ": " + column(data, "cause");
  if (type == "step.progress") return step_of(data) + ": " + column(data, "progress");
  if (type == "llm.delta") return column(data, "text");
  if (type == "llm.usage") {
    return column(data, "model") + ": " + column(data, "input_tokens") + " tokens in, " +
           column(data, "output_tokens") + " out";
  }
  if (type == "step.completed") {
    return step_of(data) + (is_failed(data) ? ": failed: " + message_of(data, "error") : "");
  }
  return json::dump(data);
}

}  // namespace

std::string format_event(const StreamEvent& event) {
  const json::Value whole = json::parse(event.data, {.depth_max = 512});
  const json::Value* data = whole.find("data");
  const std::string run = column(whole, "run");  // Where events of several runs are shown.
  std::string text = run.empty() ? "" : run + ": ";
  if (data != nullptr) text += words_of(event.type, *data);
  return printable(event.id) + "\t" + printable(column(whole, "ts")) + "\t" +
         printable(event.type) + "\t" + printable(trim(text), Lines::keep) + "\n";
}

}  // namespace cellar::cli
