#include "daemon/settings.h"

#include <cstdint>

namespace cellar::daemon {
namespace {

enum class Takes : std::uint8_t { effect_at_once, a_restart };

struct Setting {
  const char* name;
  Takes takes;
  bool (*is_same)(const Config& a, const Config& b);
  void (*copy)(Config& to, const Config& from);
};

template <auto Member>
constexpr Setting setting(const char* name, Takes takes) {
  return {name, takes, [](const Config& a, const Config& b) { return a.*Member == b.*Member; },
          [](Config& to, const Config& from) { to.*Member = from.*Member; }};
}

// All of Config.
constexpr Setting kSettings[] = {
    setting<&Config::log_level>("log-level", Takes::effect_at_once),
    setting<&Config::log_format>("log-format", Takes::effect_at_once),
    setting<&Config::idle_timeout>("idle-timeout-s", Takes::effect_at_once),
    setting<&Config::max_awake>("max-awake-s", Takes::effect_at_once),
    setting<&Config::run_retention>("run-retention-s", Takes::effect_at_once),
    setting<&Config::page_out_after>("page-out-after-s", Takes::effect_at_once),
    setting<&Config::hibernate_after>("hibernate-after-s", Takes::effect_at_once),
    setting<&Config::unload_after>("unload-after-s", Takes::effect_at_once),
    setting<&Config::on_stop>("on-stop", Takes::effect_at_once),
    setting<&Config::busy_cpu_percent>("busy-cpu-percent", Takes::effect_at_once),
    setting<&Config::agent_stall_timeout>("agent-stall-timeout-ms", Takes::effect_at_once),
    setting<&Config::run_suspend_after>("run-suspend-after-ms", Takes::effect_at_once),
    setting<&Config::run_replay_bytes_max>("run-replay-bytes-max", Takes::effect_at_once),
    setting<&Config::memory_reserve_bytes>("memory-reserve-bytes", Takes::effect_at_once),
    setting<&Config::disk_reserve_bytes>("disk-reserve-bytes", Takes::effect_at_once),
    setting<&Config::audit_retention>("audit-retention-s", Takes::effect_at_once),
    setting<&Config::audit_bytes_max>("audit-bytes-max", Takes::effect_at_once),
    setting<&Config::cors_origins>("cors-origin", Takes::effect_at_once),
    setting<&Config::trusted_proxies>("trusted-proxies", Takes::effect_at_once),
    setting<&Config::forward_to>("forward-to", Takes::effect_at_once),
    setting<&Config::state>("state", Takes::a_restart),
    setting<&Config::host>("listen", Takes::a_restart),
    setting<&Config::port>("listen", Takes::a_restart),
    setting<&Config::tls_host>("tls-listen", Takes::a_restart),
    setting<&Config::tls_port>("tls-listen", Takes::a_restart),
    setting<&Config::tls_cert>("tls-cert", Takes::a_restart),
    setting<&Config::tls_key>("tls-key", Takes::a_restart),
    setting<&Config::acme_command>("acme-command", Takes::a_restart),
    setting<&Config::llm_file>("llm", Takes::a_restart),
    setting<&Config::api_key>("api-key", Takes::a_restart),
    setting<&Config::seal_key_file>("seal-key-file", Takes::a_restart),
    setting<&Config::preview_domain>("preview-domain", Takes::a_restart),
    setting<&Config::name_server>("name-server", Takes::a_restart),
    setting<&Config::egress_ca>("egress-ca", Takes::a_restart),
    setting<&Config::pool_threads>("pool-threads", Takes::a_restart),
    setting<&Config::cell_disk_bytes>("cell-disk-bytes", Takes::a_restart),
    setting<&Config::cell_inodes>("cell-inodes", Takes::a_restart),
    setting<&Config::prepared_cells>("prepared-cells", Takes::a_restart),
    setting<&Config::warm_agents>("warm-agents", Takes::a_restart),
    setting<&Config::level>("level", Takes::a_restart),
    setting<&Config::runtime_floor>("runtime-floor", Takes::a_restart),
    setting<&Config::config_file>("config", Takes::a_restart),
    setting<&Config::libexec>("libexec", Takes::a_restart),
};

}  // namespace

SettingChanges take_settings(Config& running, const Config& wanted) {
  SettingChanges changes;
  for (const Setting& setting : kSettings) {
    if (setting.is_same(running, wanted)) continue;
    if (setting.takes == Takes::effect_at_once) {
      setting.copy(running, wanted);
      changes.taken.emplace_back(setting.name);
    } else if (changes.needs_restart.empty() || changes.needs_restart.back() != setting.name) {
      changes.needs_restart.emplace_back(setting.name);
    }
  }
  return changes;
}

}  // namespace cellar::daemon
