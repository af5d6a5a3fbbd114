#include <fmt/core.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kSnippetLines = 8;
// As grep and ripgrep colour them.
constexpr std::string_view kPathColor = "35";
constexpr std::string_view kLineColor = "32";

std::string colored(std::string_view color, std::string_view text) {
  return fmt::format("\x1b[{}m{}\x1b[0m", color, text);
}

std::string score_of(const json::Value& result) {
  const json::Value* score = result.find("score");
  return score != nullptr && score->is_number() ? fmt::format("{:.3f}", score->as_double()) : "";
}

struct Snippet {
  std::int64_t first_line = 1;
  std::vector<std::string_view> lines;
  bool cut = false;  // There is more.
};

// The first lines with something on them; views into `content`.
Snippet snippet_of(const json::Value& result, std::string_view content) {
  Snippet snippet;
  const json::Value* start = result.find("start_line");
  if (start != nullptr && start->is_int()) snippet.first_line = start->as_int();
  for (const std::string_view line : split(content, '\n')) {
    if (snippet.lines.empty() && trim(line).empty()) {
      ++snippet.first_line;
    } else if (snippet.lines.size() < kSnippetLines) {
      snippet.lines.push_back(line);
    } else {
      snippet.cut = snippet.cut || !trim(line).empty();
    }
  }
  while (!snippet.lines.empty() && trim(snippet.lines.back()).empty()) snippet.lines.pop_back();
  return snippet;
}

// For people: the file, and each line with its number.
std::string for_people(const json::Value& result, const Snippet& snippet) {
  std::string out = colored(kPathColor, printable(column(result, "path")));
  out += "  " + score_of(result);
  if (const std::string symbol = column(result, "symbol"); !symbol.empty()) {
    out += "  " + printable(symbol);
  }
  out += "\n";
  std::int64_t number = snippet.first_line;
  for (const std::string_view line : snippet.lines) {
    out += colored(kLineColor, fmt::format("{:>6}", number++)) + "  " + std::string(line) + "\n";
  }
  if (snippet.cut) out += fmt::format("{:>6}\n", "…");
  return out + "\n";
}

// For programs: one line of the place, score and symbol, and the text behind spaces.
std::string for_pipes(const json::Value& result, const Snippet& snippet) {
  const std::string place = column(result, "path") + ":" + column(result, "start_line") + "-" +
                            column(result, "end_line");
  std::string out = printable(place) + "\t" + score_of(result) + "\t" +
                    printable(column(result, "symbol")) + "\n";
  for (const std::string_view line : snippet.lines) {
    out.append("    ").append(line).append("\n");
  }
  return snippet.cut ? out + "    …\n" : out;
}

// For programs that read what grep -n writes.
std::string as_grep(const json::Value& result, const Snippet& snippet) {
  std::string out;
  std::int64_t number = snippet.first_line;
  for (const std::string_view line : snippet.lines) {
    out += fmt::format("{}:{}:{}\n", printable(column(result, "path")), number++, line);
  }
  return out;
}

const json::Array& list_in(const json::Value& answer, std::string_view name) {
  const json::Value* list = answer.find(name);
  if (list == nullptr || !list->is_array()) {
    throw Error(ErrorCode::internal, "the daemon's answer holds no " + std::string(name));
  }
  return list->as_array();
}

void note_what_is_missing(const json::Value& answer, Output& output) {
  if (const std::string count = column(answer, "left_out"); !count.empty()) {
    output.note(count + " files are not searched: the index is full, or patterns of a .gitignore " +
                "take too long");
  }
  if (column(answer, "truncated_by") == "time") {
    output.note("the expression takes too long: not all files were searched");
  }
  const json::Value* indexing = answer.find("indexing");
  if (indexing != nullptr && indexing->is_number()) {
    output.note(fmt::format("the index is being made: {:.0f} % of the files were searched",
                            indexing->as_double() * 100));
  }
}

int run_symbols(const Search& command, Context& context) {
  json::Object body;
  body.set("query", command.query);
  if (command.limit) body.set("limit", *command.limit);
  const json::Value answer = context.api.post(cell_path(command.cell_id, "/search/symbols"), body);
  Output& output = context.output;
  if (output.format() == Format::json) {
    output.json(answer);
    return 0;
  }
  std::vector<Row> rows;
  for (const json::Value& symbol : list_in(answer, "symbols")) {
    rows.push_back({column(symbol, "path") + ":" + column(symbol, "line"), column(symbol, "kind"),
                    column(symbol, "name")});
  }
  output.write(format_table({"PLACE", "KIND", "NAME"}, rows, output.look()));
  note_what_is_missing(answer, output);
  return 0;
}

json::Object body_of(const Search& command) {
  json::Object body;
  body.set("query", command.query);
  if (command.limit) body.set("limit", *command.limit);
  if (!command.mode.empty()) body.set("mode", command.mode);
  const auto set_list = [&](std::string_view name, const std::vector<std::string>& values) {
    if (values.empty()) return;
    json::Array list;
    for (const std::string& value : values) list.push_back(value);
    body.set(std::string(name), std::move(list));
  };
  set_list("paths", command.paths);
  set_list("languages", command.languages);
  if (command.chunks_per_file) body.set("chunks_per_file", *command.chunks_per_file);
  return body;
}

}  // namespace

std::string format_search_result(const json::Value& result, std::string_view mode, Look look) {
  const std::string content = printable(column(result, "content"), Lines::keep);
  const Snippet snippet = snippet_of(result, content);
  if (look == Look::terminal) return for_people(result, snippet);
  return mode == "regex" ? as_grep(result, snippet) : for_pipes(result, snippet);
}

int run(const Search& command, Context& context) {
  if (command.symbols) return run_symbols(command, context);
  Output& output = context.output;
  const json::Value answer =
      context.api.post(cell_path(command.cell_id, "/search"), body_of(command));
  if (output.format() == Format::json) {
    output.json(answer);
    return 0;
  }
  for (const json::Value& result : list_in(answer, "results")) {
    output.write(format_search_result(result, command.mode, output.look()));
  }
  note_what_is_missing(answer, output);
  return 0;
}

}  // namespace cellar::cli
