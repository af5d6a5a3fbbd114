#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kSnippetLines = 8;

std::string score_of(const json::Value& result) {
  const json::Value* score = result.find("score");
  char text[32] = "";
  if (score != nullptr && score->is_number()) {
    std::snprintf(text, sizeof text, "%.3f", score->as_double());
  }
  return text;
}

std::string snippet_of(const json::Value& result) {
  const std::string content = printable(column(result, "content"), Lines::keep);
  std::string out;
  std::size_t count = 0;
  for (const std::string_view line : split(trim(content), '\n')) {
    if (count++ == kSnippetLines) {
      out += "    …\n";
      break;
    }
    out.append("    ").append(line).append("\n");
  }
  return out;
}

}  // namespace

int run(const Search& command, Context& context) {
  Output& output = context.output;
  json::Object body;
  body.set("query", command.query);
  if (command.limit) body.set("limit", *command.limit);
  const json::Value answer = context.api.post(cell_path(command.cell_id, "/search"), body);
  if (output.format() == Format::json) {
    output.json(answer);
    return 0;
  }
  const json::Value* results = answer.find("results");
  if (results == nullptr || !results->is_array()) {
    throw Error(ErrorCode::internal, "the daemon's answer holds no results");
  }
  for (const json::Value& result : results->as_array()) {
    const std::string place = column(result, "path") + ":" + column(result, "start_line") + "-" +
                              column(result, "end_line");
    output.write(printable(place) + "\t" + score_of(result) + "\t" +
                 printable(column(result, "symbol")) + "\n" + snippet_of(result));
  }
  if (const std::string count = column(answer, "left_out"); !count.empty()) {
    output.note("the index is full: " + count + " files are not searched");
  }
  return 0;
}

}  // namespace cellar::cli
