#include "daemon/agent_host.h"

#include <filesystem>

#include "base/sha256.h"
#include "cellar_daemon_agent_host_files.h"
#include "sys/file.h"

namespace cellar::daemon {

std::string install_agent_host(const std::string& state_dir) {
  std::string all;
  for (const agent_host::EmbeddedFile& file : agent_host::kFiles) {
    all += std::string(file.name) + "\n" + sha256_hex(file.contents) + "\n";
  }
  const std::string dir = state_dir + "/agent-host-" + sha256_hex(all).substr(0, 16);
  sys::make_dirs(dir, 0755);
  for (const agent_host::EmbeddedFile& file : agent_host::kFiles) {
    const std::string path = dir + "/" + std::string(file.name);
    if (sys::read_file(path) != file.contents) sys::replace_file(path, file.contents, 0644);
  }
  return dir;
}

}  // namespace cellar::daemon
