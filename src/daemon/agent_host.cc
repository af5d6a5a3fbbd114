#include "daemon/agent_host.h"

#include <filesystem>
#include <map>

#include "base/sha256.h"
#include "cell/kept_code.h"
#include "cellar_daemon_agent_host_files.h"
#include "cellar_daemon_python_agent_host_files.h"
#include "sys/file.h"

namespace cellar::daemon {
namespace {

// Each file below the agent host's folder, with its contents.
std::map<std::string, std::string_view> all_files() {
  std::map<std::string, std::string_view> files;
  for (const auto& file : agent_host::kFiles) files[std::string(file.name)] = file.contents;
  for (const auto& file : python_agent_host::kFiles) {
    files["python/" + std::string(file.name)] = file.contents;
  }
  return files;
}

}  // namespace

std::string install_agent_host(const std::string& state_dir) {
  const auto files = all_files();
  std::string all;
  for (const auto& [name, contents] : files) all += name + "\n" + sha256_hex(contents) + "\n";
  const std::string dir = state_dir + "/agent-host-" + sha256_hex(all).substr(0, 16);
  for (const auto& [name, contents] : files) {
    const std::string path = dir + "/" + name;
    sys::make_dirs(std::filesystem::path(path).parent_path(), 0755);
    if (sys::read_file(path) != contents) sys::replace_file(path, contents, 0644);
  }
  cell::drop_damaged_code(dir);
  return dir;
}

}  // namespace cellar::daemon
