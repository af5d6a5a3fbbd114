#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <sstream>

#include "base/nearest.h"
#include "base/option_values.h"
#include "cli/command_line_parts.h"
#include "doctor/user.h"

namespace cellar::cli {
namespace {

constexpr const char* kDefaultUrl = "http://127.0.0.1:4750";
constexpr int kUsageExit = 2;
constexpr std::size_t kMisspeltMax = 2;           // letters in which a name is taken for another
constexpr std::int64_t kSecondsMax = 31'536'000;  // a year
constexpr std::int64_t kLeaseMaxS = 86'400;
constexpr double kTimeoutMinS = 0.001;
constexpr double kTimeoutMaxS = 86'400;

void add_cell_commands(CLI::App& app, Raw& raw) {
  auto create = std::make_shared<Create>();
  CLI::App* sub =
      app.add_subcommand("create", "Make a customer's cell, or change the one there is");
  sub->add_option("CUSTOMER", create->customer_id, "Your name for the customer")->required();
  sub->add_option("--agent", create->agent_file,
                  "The file with the agent's source, .js or .py, or its folder");
  sub->add_option("--tier", create->tier, "starter, standard or performance");
  sub->add_option("--image", create->image, "The cell's root file system");
  sub->add_option("--runtime", create->runtime, "native, or gvisor: a kernel of its own");
  sub->add_flag("--permanent", create->permanent, "Never pause it");
  sub->add_option("--idle-timeout", create->idle_timeout_s, "Seconds of idleness until it pauses")
      ->check(whole_number(1, kSecondsMax));
  sub->add_option("--max-awake", create->max_awake_s,
                  "Seconds that it may be busy with nobody asking it for anything; 0: any")
      ->check(whole_number(0, kSecondsMax));
  sub->add_option("--run-retention", create->run_retention_s,
                  "Seconds that a run is kept after its end; 0: for ever")
      ->check(whole_number(0, 10 * kSecondsMax));
  auto file_events = std::make_shared<bool>(false);
  const CLI::Option* told = sub->add_flag("--file-events,!--no-file-events", *file_events,
                                          "Tell in its events what happens to its files, or not");
  add_repeated(*sub, "--secret", raw.secrets,
               "NAME=VALUE for the agent's environment; NAME alone takes yours. Of a cell that "
               "is there they replace all that it has");
  add_repeated(*sub, "--secret-host", raw.secret_hosts,
               "NAME=HOST: that secret goes to HOST only, and never into the cell");
  add_repeated(*sub, "--allow", create->allow,
               "A HOST or HOST:PORT that the cell may reach, and no other");
  sub->callback([&raw, create, file_events, told] {
    if (told->count() > 0) create->file_events = *file_events;
    raw.command = [&raw, create]() -> Command {
      create->secrets = pairs_of(raw.secrets, "--secret", BareName::from_environment);
      create->secret_hosts = secret_hosts_of(raw, *create);
      return *create;
    };
  });

  sub = app.add_subcommand("ls", "List the cells");
  sub->callback([&raw] { raw.command = [] { return Command(List{}); }; });

  const auto add_for_cell = [&]<typename T>(T, const std::string& name, const std::string& help) {
    auto command = std::make_shared<T>();
    CLI::App* added = app.add_subcommand(name, help);
    add_cell_id(*added, command->cell_id);
    added->callback([&raw, command] { raw.command = [command] { return Command(*command); }; });
  };
  add_for_cell(Get{}, "get", "Show one cell");
  add_for_cell(Remove{}, "rm", "Delete a cell with all its files");
  add_for_cell(Pause{}, "pause", "Freeze a cell's processes");
  add_for_cell(Hibernate{}, "hibernate", "End a cell's processes; what is on disk stays");
  auto keep_alive = std::make_shared<KeepAlive>();
  sub = app.add_subcommand("keep-alive", "Wake a cell, and keep it awake for some time");
  add_cell_id(*sub, keep_alive->cell_id);
  sub->add_option("SECONDS", keep_alive->seconds, "From now on; 0: no longer")
      ->required()
      ->check(whole_number(0, kLeaseMaxS));
  sub->callback(
      [&raw, keep_alive] { raw.command = [keep_alive] { return Command(*keep_alive); }; });
  auto wake_at = std::make_shared<WakeAt>();
  sub = app.add_subcommand("wake-at", "Bring a cell back at some time");
  add_cell_id(*sub, wake_at->cell_id);
  sub->add_option("TIME", wake_at->at, "As 2026-11-23T10:00:00Z; or \"never\"")->required();
  sub->callback([&raw, wake_at] { raw.command = [wake_at] { return Command(*wake_at); }; });
  add_for_cell(Resume{}, "resume", "Bring a cell back (any other use of it does, too)");
}

void add_network_command(CLI::App& app, Raw& raw) {
  auto network = std::make_shared<Network>();
  CLI::App* sub = app.add_subcommand("network", "Show what a cell may reach, or change it at once");
  add_cell_id(*sub, network->cell_id);
  sub->add_option("ACTION", network->action,
                  "show; allow or deny these entries, too; set all of it")
      ->check(one_of({"show", "allow", "deny", "set"}));
  sub->add_option("WORDS", network->words,
                  "ENTRY... of allow and deny; of set a JSON FILE, -, allow-all or deny-all");
  sub->add_option("--domain", network->domain, "Allow or deny for the agent, or the shell, alone")
      ->check(one_of({"agent", "shell"}));
  sub->footer("An entry is a name, *.name, an address, address/bits or *, with :port or without.");
  sub->callback([&raw, network] {
    raw.command = [network]() -> Command {
      const bool is_set = network->action == "set";
      const bool is_show = network->action == "show";
      if (is_show != network->words.empty() || (is_set && network->words.size() != 1)) {
        throw CLI::ValidationError("network " + network->action,
                                   is_show  ? "takes no more words"
                                   : is_set ? "takes one FILE, allow-all or deny-all"
                                            : "needs one entry or more");
      }
      if (!network->domain.empty() && (is_set || is_show)) {
        throw CLI::ValidationError("--domain", "is for allow and deny only");
      }
      return *network;
    };
  });
}

void add_image_commands(CLI::App& app, Raw& raw) {
  CLI::App* image = app.add_subcommand("image", "Root file systems of cells, on this machine");
  image->require_subcommand(1);
  image->fallthrough();
  const auto add = [&]<typename T>(T start, const std::string& name, const std::string& help) {
    auto command = std::make_shared<T>(std::move(start));
    command->state = doctor::default_state();
    CLI::App* added = image->add_subcommand(name, help);
    added->add_option("--state", command->state, "The daemon's state folder")
        ->envname("CELLAR_STATE");
    added->callback([&raw, command] { raw.command = [command] { return Command(*command); }; });
    return std::make_pair(added, command);
  };
  const auto [build, to_build] =
      add(ImageBuild{}, "build", "Make a Debian with Node.js, Python, git and compilers");
  build->add_option("--name", to_build->name, "Its name; cells get \"default\" by themselves");
  build->add_option("--suite", to_build->suite, "Debian's release");
  build->add_option("--mirror", to_build->mirror, "Where packages come from");
  add_repeated(*build, "--package", to_build->packages, "One more package of Debian's");
  const auto [import, to_import] =
      add(ImageImport{}, "import", "Take a folder, a tar archive or an OCI image as an image");
  import->add_option("PATH", to_import->path, "The folder or archive")->required();
  import->add_option("--name", to_import->name, "Its name")->required();
  add(ImageList{}, "ls", "List the images");
  const auto [remove, to_remove] = add(ImageRemove{}, "rm", "Forget an image that no cell has");
  remove->add_option("NAME", to_remove->name, "Its name")->required();
}

// What the file that cellard is configured by says, for options that are not given here.
void take_configuration(CLI::App& app, const std::string& path) {
  if (path.empty()) return;
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_file(path);
  } catch (const std::exception& error) {
    throw CLI::ValidationError("--config", path + ": " + error.what());
  }
  for (const CLI::ConfigItem& item : items) {
    CLI::Option* option = app.get_option_no_throw("--" + item.name);
    if (option == nullptr || option->count() > 0 || item.inputs.empty()) continue;
    option->add_result(item.inputs);
    option->run_callback();
  }
}

void add_mcp_command(CLI::App& app, Raw& raw) {
  auto mcp = std::make_shared<Mcp>();
  CLI::App* sub =
      app.add_subcommand("mcp", "Give an editor its tools: MCP at standard input and output");
  add_cell_id(*sub, mcp->cell_id)
      ->required(false)
      ->description("The only cell that it is to see; left out: all");
  sub->callback([&raw, mcp] { raw.command = [mcp] { return Command(*mcp); }; });
}

void add_doctor_command(CLI::App& app, Raw& raw) {
  auto doctor = std::make_shared<Doctor>();
  auto config = std::make_shared<std::string>();
  doctor->state = cellar::doctor::default_state();
  doctor->seal_key_file = cellar::doctor::default_seal_key_file();
  CLI::App* sub = app.add_subcommand("doctor", "Tell what this host can do for cells");
  sub->add_option("--config", *config, "The daemon's TOML file")->envname("CELLAR_CONFIG");
  sub->add_option("--state", doctor->state, "The daemon's state folder")->envname("CELLAR_STATE");
  sub->add_option("--seal-key-file", doctor->seal_key_file, "The key that seals secrets")
      ->envname("CELLAR_SEAL_KEY_FILE");
  sub->add_option("--level", doctor->level, "What is needed: full or reduced")
      ->envname("CELLAR_LEVEL")
      ->check(one_of({"full", "reduced"}));
  sub->footer(
      "Exit codes: 0 the level is satisfied, 1 something that it needs is missing, 2 usage.");
  sub->callback([&raw, sub, doctor, config] {
    take_configuration(*sub, *config);
    raw.command = [doctor] { return Command(*doctor); };
  });
}

void add_work_commands(CLI::App& app, Raw& raw) {
  auto exec = std::make_shared<Exec>();
  CLI::App* sub = app.add_subcommand("exec", "Run a command in a cell: exec ID -- CMD...");
  add_surroundings(*sub, raw, *exec);
  add_timeout(*sub, *exec, "Seconds until it is killed");
  sub->add_flag("-n,--no-stdin", exec->without_stdin, "Do not pass standard input on");
  sub->footer("One word after -- is a line for the shell, more are a program and its arguments.");
  sub->callback([&raw, exec] {
    raw.command = [&raw, exec]() -> Command {
      exec->env = pairs_of(raw.env, "--env", BareName::refuse);
      return *exec;
    };
  });

  auto copy = std::make_shared<Copy>();
  sub = app.add_subcommand("cp", "Copy a file, or a folder's contents, to or from a cell");
  sub->add_option("SRC", copy->source, "PATH or ID:/PATH, where / is the cell's /work")->required();
  sub->add_option("DST", copy->destination, "The same; ends in / where it is a folder")->required();
  // Folders are copied with all in them in any case; who is used to say so may.
  sub->add_flag("-r,--recursive", copy->recursive, "A folder, with all in it (as without it)");
  sub->callback([&raw, copy] { raw.command = [copy] { return Command(*copy); }; });

  auto request = std::make_shared<AgentRequest>();
  sub = app.add_subcommand("request", "Call a method of a cell's agent");
  add_cell_id(*sub, request->cell_id);
  sub->add_option("METHOD", request->method, "The method")->required();
  sub->add_option("JSON", request->params, "Its params; - reads them from standard input")
      ->check(refuse_nothing, "");
  sub->footer("It is one run, also where the daemon is started again meanwhile.");
  sub->callback([&raw, request] { raw.command = [request] { return Command(*request); }; });

  auto search = std::make_shared<Search>();
  sub = app.add_subcommand("search", "Search the code of a cell");
  add_cell_id(*sub, search->cell_id);
  sub->add_option("QUERY", search->query, "What to look for")->required();
  sub->add_option("--limit", search->limit, "At most so many results")->check(whole_number(1, 100));
  auto* mode =
      sub->add_option("--mode", search->mode, "By words and meaning, one of them, or exactly")
          ->check(one_of({"auto", "semantic", "lexical", "regex"}));
  add_repeated(*sub, "--path", search->paths,
               "Only files that this pattern names, as in .gitignore");
  add_repeated(*sub, "--language", search->languages, "Only files in this language");
  auto* per_file =
      sub->add_option("--per-file", search->chunks_per_file, "So many places of one file")
          ->check(whole_number(1, 100));
  auto* symbols = sub->add_flag("--symbols", search->symbols, "Where a name is defined");
  for (auto* option : {mode, per_file, sub->get_option("--path"), sub->get_option("--language")}) {
    symbols->excludes(option);
  }
  sub->callback([&raw, search] { raw.command = [search] { return Command(*search); }; });
}

// The subcommand that was named last, of those that are within one another.
const CLI::App& innermost(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

// "; the nearest is NAME" where one is near enough.
std::string nearest_words(const std::string& name, const std::vector<std::string>& names,
                          const std::string& before = "") {
  const std::string nearest = nearest_name(name, names, kMisspeltMax);
  return nearest.empty() ? "" : "; \"" + before + nearest + "\" is near";
}

// "runs " of `cellar runs`; empty of `cellar` itself.
std::string words_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? "" : words_of(*app.get_parent()) + app.get_name() + " ";
}

std::string no_command(const CLI::App& group, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* one : commands_in(group)) names.push_back(one->get_name());
  const std::string inner = words_of(group);
  return "there is no command \"" + inner + name + "\"" + nearest_words(name, names, inner) +
         "; cellar " + inner + "--help lists them\n";
}

std::string no_option(const CLI::App& command, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  const std::string words = "cellar " + words_of(command);
  return words + "has no option \"" + word + "\"" + nearest_words(word, names) + "; " + words +
         "--help lists them\n";
}

// What is behind "--".
void take_rest(Command& command, const std::vector<std::string>& rest, bool has_rest) {
  if (auto* shell = std::get_if<Shell>(&command)) {
    shell->start.command = rest;
    return;
  }
  auto* exec = std::get_if<Exec>(&command);
  auto* start = std::get_if<ProcessStart>(&command);
  if (exec == nullptr && start == nullptr) {
    if (has_rest) throw CLI::ValidationError("--", "is for exec, start and sh only");
    return;
  }
  const std::string name = exec != nullptr ? "exec" : "start";
  if (rest.empty()) {
    throw CLI::ValidationError(name, "the command is missing: cellar " + name + " ID -- CMD...");
  }
  (exec != nullptr ? exec->command : start->command) = rest;
}

std::string env_or(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

}  // namespace

std::map<std::string, std::string> pairs_of(const std::vector<std::string>& texts,
                                            const std::string& option, BareName bare) {
  std::map<std::string, std::string> pairs;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty()) throw CLI::ValidationError(option, "must be NAME=VALUE");
    if (equals != text.npos) {
      pairs[name] = text.substr(equals + 1);
      continue;
    }
    const char* value = bare == BareName::from_environment ? std::getenv(name.c_str()) : nullptr;
    if (value == nullptr) {
      throw CLI::ValidationError(option, bare == BareName::refuse
                                             ? "must be NAME=VALUE, not \"" + name + "\""
                                             : name + " is not in the environment");
    }
    pairs[name] = value;
  }
  return pairs;
}

void add_repeated(CLI::App& app, const std::string& name, std::vector<std::string>& into,
                  const std::string& help) {
  app.add_option(name, into, help)->allow_extra_args(false)->type_name("");
}

std::string refuse_nothing(const std::string& text) {
  return text.empty() ? "must not be empty" : "";
}

CLI::Option* add_cell_id(CLI::App& app, std::string& into) {
  return app.add_option("ID", into, "The cell")->required()->check(refuse_nothing, "");
}

void add_surroundings(CLI::App& app, Raw& raw, ProgramToRun& program) {
  add_cell_id(app, program.cell_id);
  app.add_option("--cwd", program.cwd, "Folder it runs in (/work)");
  add_repeated(app, "--env", raw.env, "NAME=VALUE for its environment");
}

void add_timeout(CLI::App& app, ProgramToRun& program, const std::string& help) {
  app.add_option("--timeout", program.timeout_s, help)
      ->check(decimal_number(kTimeoutMinS, kTimeoutMaxS));
}

namespace {

// What `cellar --help` shows together.
const std::vector<std::pair<const char*, std::vector<const char*>>> kGroups = {
    {"Cells",
     {"create", "ls", "get", "pause", "hibernate", "resume", "keep-alive", "wake-at", "rm"}},
    {"Agents", {"init", "dev", "deploy", "request", "runs", "events", "cancel"}},
    {"In a cell",
     {"exec", "sh", "start", "ps", "logs", "input", "kill", "attach", "cp", "files", "search",
      "checkpoints", "diff"}},
    {"What a cell may do", {"network", "secrets", "llm", "usage", "preview"}},
    {"Your tools", {"mcp", "completion"}},
    {"The daemon", {"doctor", "image", "keys", "reload", "audit"}}};

// All of them. `url` is the daemon's address, once all is read.
void add_commands(CLI::App& app, Raw& raw, const std::string& url) {
  add_cell_commands(app, raw);
  add_project_commands(app, raw);
  add_work_commands(app, raw);
  add_process_commands(app, raw);
  add_file_commands(app, raw);
  add_checkpoint_commands(app, raw);
  add_run_commands(app, raw);
  add_preview_command(app, raw, url);
  add_network_command(app, raw);
  add_secrets_command(app, raw);
  add_llm_commands(app, raw);
  add_mcp_command(app, raw);
  add_completion_commands(app, raw);
  add_image_commands(app, raw);
  add_key_commands(app, raw);
  add_audit_commands(app, raw);
  add_doctor_command(app, raw);
  for (const auto& [heading, names] : kGroups) {
    for (const char* name : names) app.get_subcommand(name)->group(heading);
  }
}

}  // namespace

std::variant<CommandLine, Usage> read_command_line(int argc, const char* const* argv) {
  CommandLine line;
  line.url = env_or("CELLAR_URL", kDefaultUrl);
  line.api_key = env_or("CELLAR_API_KEY", "");

  // All behind the first "--" is a command, and none of it is for CLI11, which would
  // take "[a,b]" apart.
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  const bool has_rest = dashes != arguments.end();
  std::vector<std::string> rest(has_rest ? dashes + 1 : dashes, arguments.end());
  arguments.erase(dashes, arguments.end());

  Raw raw;
  CLI::App app("Cells for coding agents", "cellar");
  app.footer(
      "Exit codes: 1 failed, 2 wrong usage, 3 not found, 4 daemon not reachable, 5 wrong key;\n"
      "of exec, sh, attach and logs -f: the command's own.");
  // The last one counts: an alias may hold the others.
  app.add_option("--url", line.url, "The daemon (CELLAR_URL)")->capture_default_str()->take_last();
  app.add_option("--api-key", line.api_key, "Your key (CELLAR_API_KEY)")->take_last();
  app.add_option("-o,--output", raw.format, "text or json")
      ->check(one_of({"text", "json"}))
      ->take_last();
  app.set_version_flag("--version", "cellar " CELLAR_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  add_commands(app, raw, line.url);
  name_refusals(app);

  // CLI11 reports by its own exceptions: they end here.
  try {
    std::reverse(arguments.begin(), arguments.end());  // Its parse() takes them from the end.
    app.parse(arguments);
    line.command = raw.command();
    if (auto* complete = std::get_if<Complete>(&line.command)) {
      *complete = complete_words(app, std::move(rest));
    } else {
      take_rest(line.command, rest, has_rest);
    }
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = app.remaining(true);
    const CLI::App& group = innermost(app);
    if (error.get_name() == "RequiredError" && group.get_require_subcommand_min() > 0 &&
        !unknown.empty()) {
      return Usage{no_command(group, unknown.front()), kUsageExit};
    }
    const bool has_extras = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
    for (const std::string& word : unknown) {
      if (has_extras && word.starts_with('-')) return Usage{no_option(group, word), kUsageExit};
    }
    if (has_extras && (app.got_subcommand("exec") || app.got_subcommand("start")) && !has_rest) {
      return Usage{"a command comes behind --: cellar " + group.get_name() + " ID -- CMD...\n",
                   kUsageExit};
    }
    std::ostringstream out, err;
    const int code = app.exit(error, out, err);
    return Usage{out.str() + err.str(), code == 0 ? 0 : kUsageExit};
  }
  line.format = raw.format == "json" ? Format::json : Format::text;
  return line;
}

}  // namespace cellar::cli
