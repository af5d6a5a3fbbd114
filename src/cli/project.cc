// A folder with an agent: made, given to cells, and tried while it is written.

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "base/error.h"
#include "cellar_cli_project_files.h"
#include "cli/agent_file.h"
#include "cli/commands.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::chrono::milliseconds kLookPause{300};  // between two looks at a file

// Makes it the agent of the customer's cell, which is made where there is none. Gives the cell.
json::Value give(const std::string& source, const std::string& file, const std::string& customer_id,
                 Api& api) {
  return api.post("/api/v1/cells", agent_settings(customer_id, source, file));
}

std::vector<json::Value> cells_of(const Deploy& command, Api& api) {
  std::vector<json::Value> cells;
  for (const std::string& id : command.cell_ids) cells.push_back(api.get(cell_path(id)));
  if (!command.all) return cells;
  for (json::Value& cell : all_cells(api)) {
    if (!column(cell, "agent_digest").empty()) cells.push_back(std::move(cell));
  }
  return cells;
}

// The number of the cell's newest event.
std::int64_t last_event(const std::string& cell_id, Api& api) {
  const json::Value answer = api.get(cell_path(cell_id, "/events?tail=0"));
  const json::Value* number = answer.find("last_seq");
  if (number == nullptr || !number->is_int()) {
    throw Error(ErrorCode::internal, "the daemon's answer holds no events");
  }
  return number->as_int();
}

// Shows the events of a cell, in a thread of its own, for as long as it is there.
class Events {
 public:
  // Those behind the number `after`.
  Events(std::string cell_id, std::int64_t after, Context& context)
      : context_(context),
        client_(context.url, context.api_key),
        api_(client_),
        thread_([this, after, id = std::move(cell_id)] { show(id, after); }) {}
  ~Events() { thread_.join(); }

  bool has_ended() const noexcept { return ended_; }

 private:
  void show(const std::string& cell_id, std::int64_t after) {
    Context own{api_, context_.output, context_.in, context_.url, context_.api_key};
    RunLog log;
    log.run.cell_id = cell_id;
    log.after = after;
    log.follow = true;
    try {
      run(log, own);
    } catch (const Error& error) {
      context_.output.note(format_error(error));
    }
    ended_ = true;
  }

  Context& context_;
  Client client_;
  Api api_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

// The contents of a file that is being written: those that it had at two looks.
class Watched {
 public:
  explicit Watched(std::string source) : last_(source), given_(std::move(source)) {}

  // What is to be given to the cell now; nullopt where nothing is new.
  std::optional<std::string> look(const std::string& file) {
    std::optional<std::string> source = sys::read_file(file);
    if (!source) return std::nullopt;  // An editor puts another in its place.
    const bool is_still = *source == last_;
    last_ = *source;
    if (!is_still || *source == given_) return std::nullopt;
    return source;
  }
  void note_given(std::string source) { given_ = std::move(source); }

 private:
  std::string last_;
  std::string given_;
};

}  // namespace

int run(const Init& command, Context& context) {
  const std::string folder = command.folder;
  for (const project::EmbeddedFile& file : project::kFiles) {
    const std::string path = folder + "/" + std::string(file.name);
    if (!sys::exists(path)) continue;
    throw Error(ErrorCode::already_exists, "file_exists", path + " is there: nothing was written",
                "name another folder: cellar init FOLDER");
  }
  constexpr mode_t kFolderMode = 0755;
  constexpr mode_t kFileMode = 0644;
  sys::make_dirs(folder, kFolderMode);
  for (const project::EmbeddedFile& file : project::kFiles) {
    sys::replace_file(folder + "/" + std::string(file.name), file.contents, kFileMode,
                      sys::Durable::no);
  }
  context.output.text("made " + folder + "/agent.js; next: cellar dev " + folder + "\n");
  return 0;
}

int run(const Deploy& command, Context& context) {
  const std::string file = find_agent(command.path);
  const std::string source = read_agent(file);
  Output& output = context.output;
  json::Array given;
  std::vector<Row> rows;
  int exit_code = 0;
  for (const json::Value& cell : cells_of(command, context.api)) {
    const std::string id = column(cell, "cell_id");
    try {
      const json::Value now = give(source, file, column(cell, "customer_id"), context.api);
      const bool is_new = column(now, "agent_digest") != column(cell, "agent_digest");
      given.push_back(json::object(
          {{"cell_id", id}, {"agent_digest", column(now, "agent_digest")}, {"changed", is_new}}));
      rows.push_back({id, short_digest(now), is_new ? "new" : "as it was"});
    } catch (const Error& error) {  // The others get it all the same.
      output.note(id + ": " + format_error(error));
      exit_code = 1;
    }
  }
  if (output.format() == Format::json) {
    output.json(json::object({{"cells", std::move(given)}}));
  } else {
    output.write(format_table({"CELL", "AGENT", ""}, rows, output.look()));
  }
  return exit_code;
}

int run(const Dev& command, Context& context) {
  const std::string file = find_agent(command.path);
  Output& output = context.output;
  std::string source = read_agent(file);
  const json::Value cell = give(source, file, command.customer_id, context.api);
  const std::string id = column(cell, "cell_id");
  const std::int64_t last = last_event(id, context.api);
  output.note(id + " has " + file + " (" + short_digest(cell) + "): cellar request " + id +
              " METHOD calls it. Ctrl+C ends this; the cell stays.");
  Watched watched(std::move(source));
  for (Events events(id, last, context); !events.has_ended();) {
    std::this_thread::sleep_for(kLookPause);
    try {
      std::optional<std::string> changed = watched.look(file);
      if (!changed) continue;
      watched.note_given(*changed);  // What is refused now is not tried again before it changes.
      const json::Value now = give(*changed, file, command.customer_id, context.api);
      output.note(id + " has " + file + " (" + short_digest(now) + ")");
    } catch (const Error& error) {
      output.note(file + " was not given to the cell: " + format_error(error));
    }
  }
  return 1;
}

}  // namespace cellar::cli
