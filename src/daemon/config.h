#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cell/lifecycle.h"
#include "cell/spec.h"
#include "sandbox/runtime.h"

namespace cellar::daemon {

// All that can be set for cellard: as an option (--state), as a line of the TOML file named by
// --config (state = "…"), or in the environment (CELLAR_STATE). An option wins over the
// environment, the environment over the file.
struct Config {
  std::string state = "/var/lib/cellar";  // of another user than root: doctor/user.h
  std::string host = "127.0.0.1";
  std::uint16_t port = 4750;
  std::string tls_host;  // where HTTPS is served, too; empty: nowhere
  std::uint16_t tls_port = 0;
  std::string tls_cert;  // PEM files
  std::string tls_key;
  std::string acme_command;  // that gets certificates of domains; empty: none does
  std::string api_key;  // CELLAR_API_KEY; empty: one is made at the first start and printed once
  std::string seal_key_file = "/etc/cellar/seal.key";  // must not be inside `state`
  std::string preview_domain;                          // empty: previews have paths only
  std::vector<std::string> trusted_proxies;  // addresses whose X-Forwarded-For and -Proto count
  std::vector<std::string> cors_origins;     // of pages that may ask the API
  std::string name_server;  // ADDRESS:PORT asked for proofs of domains; empty: the machine's own
  std::string egress_ca;  // a PEM file: roots that servers of cells may have besides the machine's
  std::string llm_file;   // JSON: who answers ctx.llm (llm/providers.h); empty: nobody
  std::vector<std::string> forward_to;  // hosts that rules may send requests to, as in "allow"
  std::chrono::seconds idle_timeout{900};
  std::chrono::seconds max_awake = cell::kMaxAwake;  // 0: no limit
  unsigned busy_cpu_percent = 5;  // of a processor; 0: processes alone are no work
  std::chrono::seconds page_out_after{30};
  std::chrono::seconds hibernate_after{3600};
  std::chrono::seconds unload_after{600};
  cell::OnStop on_stop = cell::OnStop::keep;
  std::chrono::seconds run_retention = cell::kRunRetention;            // 0: for ever
  std::chrono::seconds audit_retention = std::chrono::hours(30 * 24);  // 0: for ever
  std::uint64_t audit_bytes_max = std::uint64_t{1} << 30;              // of its files; 0: any
  std::chrono::milliseconds agent_stall_timeout{30'000};
  std::chrono::milliseconds run_suspend_after{5'000};
  std::uint64_t run_replay_bytes_max = 1 << 30;
  unsigned pool_threads = 4;
  std::uint64_t cell_disk_bytes = 0;  // of each cell at most; 0: what its tier has
  std::uint64_t cell_inodes = 0;
  std::optional<std::uint64_t> memory_reserve_bytes;  // nullopt: cell::usual_reserve(); the same:
  std::optional<std::uint64_t> disk_reserve_bytes;
  unsigned prepared_cells = 4;  // new cells, and sandboxes of others, before anybody needs them
  unsigned warm_agents = 1;     // agent hosts that run before anybody needs them; 0: none
  std::string level = "full";   // or "reduced": on a host that gives less, cellard does not start
  sandbox::Runtime runtime_floor = sandbox::Runtime::native;  // no cell runs on a weaker one
  std::string log_level = "info";
  std::string log_format = "text";  // or "json": a line is an object
  std::string config_file;          // empty: none
  std::string libexec;              // folder of cellar-spawn and cell-init
};

// What the command line asked for.
struct CommandLine {
  Config config;
  int exit_code = -1;  // 0 or more: print nothing more and exit with it (--help, a wrong option)
};

// Reads options, environment and file; prints help and errors itself. Blocking.
CommandLine read_command_line(int argc, char** argv);

// The same without a word printed, for a daemon that runs. `arguments` begin with the program's
// name. Throws Error `invalid_argument`, reason `invalid_option`, and its text says what is wrong.
Config read_settings(const std::vector<std::string>& arguments);

// Throws Error `invalid_argument` for what cannot work, naming the option.
void check(const Config& config);

}  // namespace cellar::daemon
