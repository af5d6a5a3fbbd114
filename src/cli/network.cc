#include <algorithm>

#include "base/error.h"
#include "cli/commands.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kPolicyBytesMax = 1 << 20;

json::Value read_policy(const std::string& word, Context& context) {
  if (word == "allow-all" || word == "deny-all") return word;
  if (word == "-") return read_json("the policy", word, {}, context);
  const auto text = sys::read_file(word, kPolicyBytesMax);
  if (!text) throw Error(ErrorCode::not_found, "no such file: " + word);
  return read_json("the policy in " + word, *text, {}, context);
}

// Appends those of `entries` that are not there to the list `action` of a policy.
void add_entries(json::Value& policy, const Network& command) {
  json::Object& members = policy.as_object();
  // A domain that has no policy of its own begins with the common one.
  if (!command.domain.empty() && !members.contains(command.domain)) {
    json::Object own;
    for (const char* list : {"allow", "deny", "presets"}) own.set(list, members[list]);
    members.set(command.domain, std::move(own));
  }
  json::Object& lists = command.domain.empty() ? members : members[command.domain].as_object();
  json::Value& list = lists[command.action];
  if (!list.is_array()) list = json::Array();
  json::Array& entries = list.as_array();
  for (const std::string& word : command.words) {
    if (std::find(entries.begin(), entries.end(), json::Value(word)) == entries.end()) {
      entries.emplace_back(word);
    }
  }
}

// The policy and what was used a line each, and then a row for each refusal.
void show_network(const json::Value& answer, Output& output) {
  const json::Value* refusals = answer.find("refusals");
  if (output.format() == Format::json || refusals == nullptr || !refusals->is_array()) {
    show(answer, output);
    return;
  }
  std::vector<Row> rows;
  for (const json::Value& one : refusals->as_array()) {
    rows.push_back({column(one, "at"), column(one, "domain"),
                    column(one, "host") + ":" + column(one, "port"), column(one, "reason"),
                    column(one, "remediation")});
  }
  json::Value rest = answer;
  rest.as_object().erase("refusals");
  show(rest, output);
  if (rows.empty()) return;
  const Row heading = {"REFUSED AT", "DOMAIN", "HOST", "REASON", "REMEDY"};
  output.write("\n" + format_table(heading, rows, output.look()));
}

}  // namespace

int run(const Network& command, Context& context) {
  const std::string path = cell_path(command.cell_id, "/network");
  if (command.action == "set") {
    show_network(context.api.put(path, read_policy(command.words.front(), context)),
                 context.output);
    return 0;
  }
  const json::Value shown = context.api.get(path);
  if (command.action == "show") {
    show_network(shown, context.output);
    return 0;
  }
  const json::Value* policy = shown.find("policy");
  if (policy == nullptr || !policy->is_object()) {
    throw Error(ErrorCode::internal, "bad_answer", "the daemon shows no policy of the cell");
  }
  json::Value changed = *policy;
  add_entries(changed, command);
  show_network(context.api.put(path, changed), context.output);
  return 0;
}

}  // namespace cellar::cli
