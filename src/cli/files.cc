#include <fmt/format.h>

#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::chrono::milliseconds kWatchSilence{60'000};  // It writes a comment every 15 s.

std::string inner_path(std::string path) {
  path.erase(0, std::min(path.find_first_not_of('/'), path.size()));
  return path.empty() ? "." : path;
}

std::string address_of(const FileRef& ref, const std::string& query = {}) {
  const std::string path = inner_path(ref.path);
  std::string address = cell_path(ref.cell_id, "/files");
  if (path != ".") address += "/" + encode_path(path);
  return query.empty() ? address : address + "?" + query;
}

json::Object body_at(const FileRef& ref) {
  json::Object body;
  body.set("path", inner_path(ref.path));
  return body;
}

json::Value post_to(const FileRef& ref, std::string_view verb, json::Object body,
                    Context& context) {
  return context.api.post(cell_path(ref.cell_id, "/files/" + std::string(verb)), std::move(body));
}

const json::Array& array_in(const json::Value& answer, std::string_view name) {
  const json::Value* list = answer.find(name);
  if (list == nullptr || !list->is_array()) {
    throw Error(ErrorCode::internal, "the daemon's answer holds no " + std::string(name));
  }
  return list->as_array();
}

int show_files(const json::Value& answer, Context& context) {
  Output& output = context.output;
  if (output.format() == Format::json) {
    output.json(answer);
    return 0;
  }
  std::vector<Row> rows;
  for (const json::Value& file : array_in(answer, "files")) {
    const std::string target = column(file, "target");
    rows.push_back({column(file, "mode"), column(file, "type"), column(file, "size"),
                    column(file, "mtime"),
                    column(file, "path") + (target.empty() ? "" : " -> " + target)});
  }
  output.write(format_table({"MODE", "TYPE", "SIZE", "CHANGED", "PATH"}, rows, output.look()));
  if (column(answer, "truncated") == "true") output.note("there are more than these");
  return 0;
}

// Nothing to say where it went well, but as JSON.
int show_done(const json::Value& answer, Context& context) {
  if (context.output.format() == Format::json) context.output.json(answer);
  return 0;
}

// As grep writes it: PATH:LINE:TEXT, and with - the lines around. -- stands between two matches.
void show_match(const json::Value& match, Output& output) {
  const std::string path = printable(column(match, "path"));
  const std::int64_t line = match.find("line")->as_int();
  const json::Value* before = match.find("before");
  const json::Value* after = match.find("after");
  std::string text;
  std::int64_t number = line;
  if (before != nullptr) {
    number -= static_cast<std::int64_t>(before->as_array().size());
    for (const json::Value& one : before->as_array()) {
      text += fmt::format("{}-{}-{}\n", path, number++, one.as_string());
    }
  }
  text += fmt::format("{}:{}:{}{}\n", path, number++, column(match, "text"),
                      column(match, "cut") == "true" ? " …" : "");
  if (after != nullptr) {
    for (const json::Value& one : after->as_array()) {
      text += fmt::format("{}-{}-{}\n", path, number++, one.as_string());
    }
  }
  output.text(text);
}

std::string change_line(const std::string& type, const json::Value& data) {
  const std::string from = column(data, "from");
  return printable(type) + "\t" + (from.empty() ? "" : printable(from) + " -> ") +
         printable(column(data, "path")) + "\n";
}

// Shows what happens to files, until the folder is gone.
class FileLog {
 public:
  FileLog(const FileWatch& command, Context& context) : command_(command), context_(context) {}

  void follow() {
    const Following following{.request = [this] { return request(); },
                              .take = [this](const StreamEvent& event) { take(event); },
                              .is_done = [this] { return is_gone_; }};
    cli::follow(context_.api, following);
  }

 private:
  Request request() const {
    Request request{.path = address_of(command_.at, command_.all ? "watch=1&all=1" : "watch=1"),
                    .headers = {kAcceptEvents},
                    .idle_max = kWatchSilence};
    if (!last_id_.empty()) request.headers.push_back("Last-Event-ID: " + last_id_);
    return request;
  }

  void take(const StreamEvent& event) {
    if (event.type == "error") throw_answer(answer_in(event));
    last_id_ = event.id;
    const json::Value data = json::parse(event.data);
    const std::string path = column(data, "path");
    if (event.type == "ready" || event.type == "reset") folder_ = path;
    is_gone_ = event.type == "deleted" && path == folder_;
    show(event.type, data);
  }

  void show(const std::string& type, const json::Value& data) {
    Output& output = context_.output;
    if (output.format() == Format::json) {
      output.text(json::dump(json::object({{"event", type}, {"data", data}})) + "\n");
    } else if (type == "overflow") {
      output.note("more happened than is told");
    } else if (type == "reset") {
      output.note("the connection was lost: what happened meanwhile is not told");
    } else if (type != "ready") {
      output.text(change_line(type, data));
    }
  }

  const FileWatch& command_;
  Context& context_;
  std::string last_id_;
  std::string folder_;  // as the daemon names it
  bool is_gone_ = false;
};

}  // namespace

int run(const FileList& command, Context& context) {
  const std::string query = command.recursive ? "list=1&recursive=1" : "list=1";
  return show_files(context.api.get(address_of(command.at, query)), context);
}

int run(const FileCat& command, Context& context) {
  const Request request{.path = address_of(command.at)};
  if (inner_path(command.at.path) == ".") {
    throw Error(ErrorCode::invalid_argument, "not_a_file", "/ is a folder",
                "\"cellar files ls\" lists it, \"cellar cp\" copies it");
  }
  context.api.stream(request, [&](const Response&, std::string_view bytes) {
    context.output.write(bytes);
    return Flow::go_on;
  });
  return 0;
}

int run(const FileStat& command, Context& context) {
  show(context.api.get(address_of(command.at, "stat=1")), context.output);
  return 0;
}

int run(const FileWrite& command, Context& context) {
  if (inner_path(command.at.path) == "." || command.at.path.ends_with('/')) {
    throw Error(ErrorCode::invalid_argument, "invalid_path",
                "\"" + command.at.path + "\" is a folder",
                "\"cellar files mkdir\" makes one, \"cellar cp\" brings files into it");
  }
  std::string query = command.append ? "append=1" : "";
  if (!command.mode.empty()) {
    query += (query.empty() ? "mode=" : "&mode=") + encode_segment(command.mode);
  }
  Request request{.method = "PUT",
                  .path = address_of(command.at, query),
                  .headers = {"Content-Type: application/octet-stream"},
                  .body = sys::read_all(context.in, kFileBytesMax, "standard input")};
  if (command.create) request.headers.emplace_back("If-None-Match: *");
  if (!command.if_match.empty()) request.headers.push_back("If-Match: " + command.if_match);
  return show_done(context.api.value_of(context.api.send(request)), context);
}

int run(const FileMove& command, Context& context) {
  json::Object body;
  body.set("from", inner_path(command.from.path));
  body.set("to", inner_path(command.to));
  if (command.overwrite) body.set("overwrite", true);
  return show_done(post_to(command.from, "rename", std::move(body), context), context);
}

int run(const FileMakeFolder& command, Context& context) {
  json::Object body = body_at(command.at);
  if (!command.mode.empty()) body.set("mode", command.mode);
  return show_done(post_to(command.at, "mkdir", std::move(body), context), context);
}

int run(const FileChmod& command, Context& context) {
  json::Object body = body_at(command.at);
  body.set("mode", command.mode);
  return show_done(post_to(command.at, "chmod", std::move(body), context), context);
}

int run(const FileRemove& command, Context& context) {
  if (inner_path(command.at.path) == ".") {
    throw Error(ErrorCode::invalid_argument, "invalid_path", "/ is the whole folder",
                "name what is to be deleted");
  }
  Request request{.method = "DELETE", .path = address_of(command.at)};
  if (!command.if_match.empty()) request.headers.push_back("If-Match: " + command.if_match);
  context.api.send(request);
  return 0;
}

int run(const FileGlob& command, Context& context) {
  json::Object body = body_at(command.at);
  body.set("pattern", command.pattern);
  if (command.limit) body.set("limit", *command.limit);
  if (command.all) body.set("all", true);
  const json::Value answer = post_to(command.at, "glob", std::move(body), context);
  if (context.output.format() == Format::json) return show_files(answer, context);
  for (const json::Value& file : array_in(answer, "files")) {
    context.output.write(printable(column(file, "path")) + "\n");
  }
  if (column(answer, "truncated") == "true") context.output.note("there are more than these");
  return 0;
}

int run(const FileGrep& command, Context& context) {
  json::Object body = body_at(command.at);
  body.set("pattern", command.pattern);
  if (!command.paths.empty()) {
    body.set("paths", json::Array(command.paths.begin(), command.paths.end()));
  }
  if (command.context) body.set("context", *command.context);
  if (command.limit) body.set("limit", *command.limit);
  if (command.literal) body.set("literal", true);
  if (command.ignore_case) body.set("ignore_case", true);
  if (command.all) body.set("all", true);
  const json::Value answer = post_to(command.at, "grep", std::move(body), context);
  if (context.output.format() == Format::json) {
    context.output.json(answer);
    return 0;
  }
  const json::Value* last = nullptr;
  for (const json::Value& match : array_in(answer, "matches")) {
    if (last != nullptr && match.find("after") != nullptr) context.output.text("--\n");
    show_match(match, context.output);
    last = &match;
  }
  if (const std::string by = column(answer, "truncated_by"); !by.empty()) {
    context.output.note("there may be more than these: ended by the " + by);
  }
  return 0;
}

int run(const FileWatch& command, Context& context) {
  FileLog(command, context).follow();
  return 0;
}

}  // namespace cellar::cli
