#include "daemon/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "api/cors.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/option_values.h"
#include "base/port.h"
#include "certificates/acme_command.h"
#include "doctor/examine.h"
#include "net/policy.h"
#include "wire/agent_frame.h"

namespace cellar::daemon {
namespace {

constexpr std::int64_t kSecondsMax = 31'536'000;  // a year
constexpr std::int64_t kStallMsMax = 86'400'000;  // a day

[[noreturn]] void refuse(const std::string& option, const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "invalid_option", "--" + option + ": " + why);
}

// What is listened on; `option` names it in the error.
void set_listen(const std::string& option, const std::string& listen, std::string& host,
                std::uint16_t& number) {
  const std::size_t colon = listen.rfind(':');
  const std::string digits = colon == std::string::npos ? std::string() : listen.substr(colon + 1);
  const auto port = digits == "0" ? std::uint16_t{0} : parse_port(digits);
  if (!port || colon == 0) {
    refuse(option, "\"" + listen + "\" is not HOST:PORT (port 0 takes a free one)");
  }
  host = listen.substr(0, colon);
  number = *port;
}

// Beside this program, as they are built, or where a package puts them.
std::string default_libexec() {
  const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const auto installed = (beside / "../lib/cellar").lexically_normal();
  const bool is_installed =
      !std::filesystem::exists(beside / "cellar-spawn") && std::filesystem::exists(installed);
  return (is_installed ? installed : beside).string();
}

// The library lets the file win over the environment, and options over both: what the environment
// says comes as options, so that it stands between them.
std::vector<std::string> with_environment(CLI::App& app, int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto is_given = [&](const std::string& name) {
    return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
      return argument == name || argument.starts_with(name + "=");
    });
  };
  std::vector<std::string> added;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_envname().empty()) continue;
    const char* value = std::getenv(option->get_envname().c_str());
    const std::string name = "--" + option->get_lnames().front();
    if (value != nullptr && *value != '\0' && !is_given(name)) added.push_back(name + "=" + value);
  }
  arguments.insert(arguments.end(), added.begin(), added.end());
  std::reverse(arguments.begin(), arguments.end());  // As the library wants them.
  return arguments;
}

// What each cell gets, and what is ready for the next one.
void add_cell_options(CLI::App& app, Config& config) {
  app.add_option("--cell-disk-bytes", config.cell_disk_bytes,
                 "Disk of each cell at most; 0: what its tier has")
      ->envname("CELLAR_CELL_DISK_BYTES")
      ->check(whole_number(0));
  app.add_option("--cell-inodes", config.cell_inodes,
                 "Files of each cell at most; 0: what its tier has")
      ->envname("CELLAR_CELL_INODES")
      ->check(whole_number(0));
  app.add_option("--busy-cpu-percent", config.busy_cpu_percent,
                 "Processes that use as much of a processor keep a cell awake; 0: none do")
      ->envname("CELLAR_BUSY_CPU_PERCENT")
      ->check(whole_number(0, 100));
  app.add_option("--memory-reserve-bytes", config.memory_reserve_bytes,
                 "Memory that stays free: with less, idle cells hibernate and no cell is woken; "
                 "else a 20th of it, at most 1 GiB")
      ->envname("CELLAR_MEMORY_RESERVE_BYTES")
      ->check(whole_number(0));
  app.add_option("--disk-reserve-bytes", config.disk_reserve_bytes,
                 "Disk that stays free: with less, no cell is made; else a 50th, at most 1 GiB")
      ->envname("CELLAR_DISK_RESERVE_BYTES")
      ->check(whole_number(0));
  app.add_option("--run-replay-bytes-max", config.run_replay_bytes_max,
                 "Recorded values that an agent is given at once, for a run that goes on")
      ->envname("CELLAR_RUN_REPLAY_BYTES_MAX")
      ->check(whole_number(1 << 10, wire::kAgentImageMax));
  app.add_option("--prepared-cells", config.prepared_cells,
                 "New cells, and sandboxes of others, made before anybody needs them")
      ->envname("CELLAR_PREPARED_CELLS")
      ->check(whole_number(0, 64));
  app.add_option("--warm-agents", config.warm_agents,
                 "Agent hosts that run before anybody needs them, some 15 MB each; 0: none")
      ->envname("CELLAR_WARM_AGENTS")
      ->check(whole_number(0, 16));
}

// Times as the plain numbers that options are.
struct Times {
  explicit Times(const Config& config)
      : idle_s(config.idle_timeout.count()),
        awake_s(config.max_awake.count()),
        page_out_s(config.page_out_after.count()),
        hibernate_s(config.hibernate_after.count()),
        unload_s(config.unload_after.count()),
        retention_s(config.run_retention.count()),
        audit_s(config.audit_retention.count()),
        stall_ms(config.agent_stall_timeout.count()),
        suspend_ms(config.run_suspend_after.count()) {}

  void put_into(Config& config) const {
    config.idle_timeout = std::chrono::seconds(idle_s);
    config.max_awake = std::chrono::seconds(awake_s);
    config.page_out_after = std::chrono::seconds(page_out_s);
    config.hibernate_after = std::chrono::seconds(hibernate_s);
    config.unload_after = std::chrono::seconds(unload_s);
    config.run_retention = std::chrono::seconds(retention_s);
    config.audit_retention = std::chrono::seconds(audit_s);
    config.agent_stall_timeout = std::chrono::milliseconds(stall_ms);
    config.run_suspend_after = std::chrono::milliseconds(suspend_ms);
  }

  std::int64_t idle_s;
  std::int64_t awake_s;
  std::int64_t page_out_s;
  std::int64_t hibernate_s;
  std::int64_t unload_s;
  std::int64_t retention_s;
  std::int64_t audit_s;
  std::int64_t stall_ms;
  std::int64_t suspend_ms;
};

void add_time_options(CLI::App& app, Times& times) {
  app.add_option("--idle-timeout-s", times.idle_s, "Seconds until an idle cell pauses")
      ->envname("CELLAR_IDLE_TIMEOUT_S")
      ->check(whole_number(1, kSecondsMax));
  app.add_option("--max-awake-s", times.awake_s,
                 "Seconds that a new cell may be busy with nobody asking it for anything; 0: any")
      ->envname("CELLAR_MAX_AWAKE_S")
      ->check(whole_number(0, kSecondsMax));
  app.add_option("--page-out-after-s", times.page_out_s,
                 "Seconds until a paused cell's memory is moved to swap, where there is some")
      ->envname("CELLAR_PAGE_OUT_AFTER_S")
      ->check(whole_number(0, kSecondsMax));
  app.add_option("--hibernate-after-s", times.hibernate_s, "Seconds until a paused cell hibernates")
      ->envname("CELLAR_HIBERNATE_AFTER_S")
      ->check(whole_number(1, kSecondsMax));
  app.add_option("--unload-after-s", times.unload_s,
                 "Seconds until a hibernated cell that waits for nothing is read anew when it is "
                 "asked for next")
      ->envname("CELLAR_UNLOAD_AFTER_S")
      ->check(whole_number(0, kSecondsMax));
  app.add_option("--run-retention-s", times.retention_s,
                 "Seconds that new cells keep a run after its end; 0: for ever")
      ->envname("CELLAR_RUN_RETENTION_S")
      ->check(whole_number(0, 10 * kSecondsMax));
  app.add_option("--audit-retention-s", times.audit_s,
                 "Seconds that files of the audit log are kept; 0: for ever")
      ->envname("CELLAR_AUDIT_RETENTION_S")
      ->check(whole_number(0, 10 * kSecondsMax));
  app.add_option("--agent-stall-timeout-ms", times.stall_ms,
                 "An agent that answers no ping is restarted")
      ->envname("CELLAR_AGENT_STALL_TIMEOUT_MS")
      ->check(whole_number(1, kStallMsMax));
  app.add_option("--run-suspend-after-ms", times.suspend_ms,
                 "A run that only waits leaves the agent after so long")
      ->envname("CELLAR_RUN_SUSPEND_AFTER_MS")
      ->check(whole_number(1, kStallMsMax));
}

void add_egress_options(CLI::App& app, Config& config) {
  app.add_option(
         "--egress-ca", config.egress_ca,
         "PEM file of roots that hosts of secrets and rules may have, besides the machine's")
      ->envname("CELLAR_EGRESS_CA");
  app.add_option("--forward-to", config.forward_to,
                 "HOST:PORTs that rules of cells may send requests to, by commas; for one in a "
                 "private network its address, too")
      ->envname("CELLAR_FORWARD_TO")
      ->delimiter(',');
  app.add_option("--llm", config.llm_file,
                 "JSON file of the models that agents may ask by ctx.llm, with their keys' places")
      ->envname("CELLAR_LLM");
}

void add_tls_options(CLI::App& app, Config& config, std::string& listen) {
  app.add_option("--tls-listen", listen, "HOST:PORT that serves HTTPS, besides --listen")
      ->envname("CELLAR_TLS_LISTEN");
  app.add_option("--tls-cert", config.tls_cert,
                 "PEM file of the certificate with its chain; read again when it changes")
      ->envname("CELLAR_TLS_CERT");
  app.add_option("--tls-key", config.tls_key, "PEM file of its key")->envname("CELLAR_TLS_KEY");
  app.add_option("--acme-command", config.acme_command,
                 "Program and its words that get the certificate of a customer's {domain} by ACME, "
                 "with proofs in {webroot}, into {directory}")
      ->envname("CELLAR_ACME_COMMAND");
}

// Who comes by a browser, and by which way.
void add_web_options(CLI::App& app, Config& config) {
  app.add_option(
         "--preview-domain", config.preview_domain,
         "Base domain of previews: cells.example.com, cells.localhost:4750; none: paths only")
      ->envname("CELLAR_PREVIEW_DOMAIN");
  app.add_option(
         "--trusted-proxies", config.trusted_proxies,
         "IPv4 addresses of reverse proxies, by commas: what they say of previews' visitors counts")
      ->envname("CELLAR_TRUSTED_PROXIES")
      ->delimiter(',')
      ->check(ipv4_address());
  app.add_option("--cors-origin", config.cors_origins,
                 "Origins whose pages may ask the API, by commas: https://app.example.com")
      ->envname("CELLAR_CORS_ORIGIN")
      ->delimiter(',');
}

void check_tls(const Config& config) {
  if (config.tls_host.empty()) {
    if (!config.tls_cert.empty()) refuse("tls-cert", "it is for --tls-listen, which is not given");
    if (!config.tls_key.empty()) refuse("tls-key", "it is for --tls-listen, which is not given");
    if (!config.acme_command.empty()) {
      refuse("acme-command", "it is for --tls-listen, which is not given");
    }
    return;
  }
  if (config.tls_cert.empty() || config.tls_key.empty()) {
    refuse("tls-listen", "it needs --tls-cert and --tls-key, PEM files");
  }
  if (!config.acme_command.empty()) certificates::AcmeCommand::parse(config.acme_command);
}

// The option whose name is nearest to this one.
std::string nearest_option(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  return nearest_name(name, names, SIZE_MAX);
}

// Reads the file as the library does, but says which name was meant by one that is no option.
class NamedToml : public CLI::ConfigTOML {
 public:
  explicit NamedToml(const CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    auto items = CLI::ConfigTOML::from_config(input);
    for (const CLI::ConfigItem& item : items) {
      const std::string name = item.fullname();
      if (app_.get_option_no_throw("--" + name) != nullptr) continue;
      throw CLI::ConfigError("\"" + name + "\" is no setting; \"" + nearest_option(app_, name) +
                                 "\" is the nearest name (cellard --help lists all)",
                             CLI::ExitCodes::ConfigError);
    }
    return items;
  }

 private:
  const CLI::App& app_;
};

// All options, and where what they say goes.
class Options {
 public:
  Options();
  CLI::App& app() noexcept { return app_; }
  // Throws CLI11's error, and Error `invalid_argument` as set_listen() does.
  Config read(int argc, char** argv);

 private:
  Config config_;
  CLI::App app_{"cellard: a computer of its own for each user of your coding agent"};
  std::string listen_ = "127.0.0.1:4750";
  std::string tls_listen_;
  std::string floor_;
  std::string on_stop_ = "keep";
  Times times_;
};

Options::Options() : floor_(sandbox::name_of(config_.runtime_floor)), times_(config_) {
  Config& config = config_;
  config.state = doctor::default_state();
  config.seal_key_file = doctor::default_seal_key_file();
  CLI::App& app = app_;
  app.name("cellard");
  app.option_defaults()->always_capture_default();

  app.set_config("--config", "", "TOML file with these options")->envname("CELLAR_CONFIG");
  app.config_formatter(std::make_shared<NamedToml>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);  // A name misspelt there is an error.
  app.add_option("--state", config.state, "Folder that holds everything")->envname("CELLAR_STATE");
  app.add_option("--listen", listen_, "HOST:PORT")->envname("CELLAR_LISTEN");
  app.add_option("--api-key", config.api_key,
                 "Key that clients must send; better as CELLAR_API_KEY")
      ->envname("CELLAR_API_KEY");
  app.add_option("--seal-key-file", config.seal_key_file, "Key that seals secrets, outside --state")
      ->envname("CELLAR_SEAL_KEY_FILE");
  add_tls_options(app, config, tls_listen_);
  add_web_options(app, config);
  app.add_option("--name-server", config.name_server,
                 "ADDRESS:PORT that is asked whose a custom domain is; else the machine's own")
      ->envname("CELLAR_NAME_SERVER");
  add_egress_options(app, config);
  add_time_options(app, times_);
  app.add_option("--pool-threads", config.pool_threads, "Threads for blocking work")
      ->envname("CELLAR_POOL_THREADS")
      ->check(whole_number(1, 64));
  app.add_option("--audit-bytes-max", config.audit_bytes_max,
                 "Bytes of the audit log; its oldest files go; 0: any")
      ->envname("CELLAR_AUDIT_BYTES_MAX")
      ->check(whole_number(0));
  add_cell_options(app, config);
  app.add_option("--level", config.level,
                 "Isolation without which nothing is served: full, reduced")
      ->envname("CELLAR_LEVEL")
      ->check(one_of({"full", "reduced"}));
  app.add_option("--runtime-floor,--runtime_floor", floor_,
                 "native or gvisor: no cell runs on a weaker runtime, and new ones on this")
      ->envname("CELLAR_RUNTIME_FLOOR")
      ->check(one_of({"native", "gvisor"}));
  app.add_option("--on-stop", on_stop_,
                 "keep: cells' processes stay for the next cellard; hibernate: they end")
      ->envname("CELLAR_ON_STOP")
      ->check(one_of({"keep", "hibernate"}));
  app.add_option("--log-level", config.log_level, "debug, info, warning or error")
      ->envname("CELLAR_LOG_LEVEL")
      ->check(one_of({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", config.log_format, "text, or json: a line is an object")
      ->envname("CELLAR_LOG_FORMAT")
      ->check(one_of({"text", "json"}));
  app.add_option("--libexec", config.libexec,
                 "Folder of cellar-spawn and cell-init; else cellard's own, or ../lib/cellar")
      ->envname("CELLAR_LIBEXEC");
  app.set_version_flag("--version", "cellard " CELLAR_VERSION);
  name_refusals(app);
}

Config Options::read(int argc, char** argv) {
  app_.parse(with_environment(app_, argc, argv));
  Config& config = config_;
  set_listen("listen", listen_, config.host, config.port);
  if (!tls_listen_.empty()) {
    set_listen("tls-listen", tls_listen_, config.tls_host, config.tls_port);
  }
  config.on_stop = on_stop_ == "keep" ? cell::OnStop::keep : cell::OnStop::hibernate;
  config.runtime_floor = sandbox::runtime_of(floor_).value_or(sandbox::Runtime::gvisor);
  times_.put_into(config);
  const CLI::Option* file = app_.get_config_ptr();
  if (file->count() > 0) config.config_file = file->as<std::string>();
  if (config.libexec.empty()) config.libexec = default_libexec();
  config.state = std::filesystem::absolute(config.state).lexically_normal().string();
  return config;
}

}  // namespace

CommandLine read_command_line(int argc, char** argv) {
  CommandLine result;
  Options options;
  try {
    result.config = options.read(argc, argv);
  } catch (const CLI::ParseError& error) {
    result.exit_code = options.app().exit(error) == 0 ? 0 : 2;
    for (const std::string& word : options.app().remaining()) {
      if (!word.starts_with("--")) continue;
      std::cerr << word << ": did you mean --" << nearest_option(options.app(), word.substr(2))
                << "?\n";
    }
  }
  return result;
}

Config read_settings(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  Options options;
  try {
    return options.read(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::invalid_argument, "invalid_option", error.what());
  }
}

void check(const Config& config) {
  if (config.state.empty()) refuse("state", "it must not be empty");
  if (config.seal_key_file.empty()) refuse("seal-key-file", "it must not be empty");
  if (doctor::is_inside(config.seal_key_file, config.state)) {
    refuse("seal-key-file", config.seal_key_file +
                                " is inside --state: a copy of the state folder "
                                "would tell the secrets");
  }
  check_tls(config);
  for (const std::string& origin : config.cors_origins) api::check_origin(origin);
  net::Policy::parse({.allow = config.forward_to});
  for (const char* program : {"cellar-spawn", "cell-init"}) {
    const std::string path = config.libexec + "/" + program;
    if (!std::filesystem::exists(path)) refuse("libexec", path + " is not there");
  }
  if (!config.api_key.empty() && config.api_key.size() < 8) {
    refuse("api-key", "a key must have 8 characters or more");
  }
}

}  // namespace cellar::daemon
