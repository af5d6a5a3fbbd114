#include "cell/agent_versions.h"

#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

void write_version(const CellLayout& layout, const AgentVersion& version,
                   const std::string& source) {
  const std::string path = layout.agent_version(version.digest, version.language);
  if (!sys::exists(path)) sys::replace_file(path, source, 0644);
}

void make_current(const CellLayout& layout, const AgentVersion& version) {
  sys::replace_link(layout.data() + "/agent" + std::string(extension_of(version.language)),
                    "versions/" + version.file_name());
}

// Where there are more than `count_max`.
void remove_others(const CellLayout& layout, const std::set<std::string>& in_use,
                   std::size_t count_max) {
  try {
    const std::vector<std::string> names = sys::files_in(layout.versions());
    if (names.size() <= count_max) return;
    for (const std::string& name : names) {
      if (!in_use.contains(name)) sys::remove_file(layout.versions() + "/" + name);
    }
  } catch (const Error& error) {  // They cost room, no more.
    log::warning("{}: {}", layout.versions(), error.what());
  }
}

}  // namespace

void AgentVersions::check(const std::string& source) {
  if (source.size() <= kBytesMax) return;
  throw Error(ErrorCode::too_large, "agent_too_large",
              "the agent has " + std::to_string(source.size()) + " bytes, at most " +
                  std::to_string(kBytesMax),
              "leave out what it does not need, or load data from /work");
}

asio::awaitable<AgentVersion> AgentVersions::keep(AgentLanguage language, std::string source) {
  return write(language, std::move(source), Role::version);
}

asio::awaitable<AgentVersion> AgentVersions::keep_as_current(AgentLanguage language,
                                                             std::string source) {
  return write(language, std::move(source), Role::current);
}

asio::awaitable<AgentVersion> AgentVersions::write(AgentLanguage language, std::string source,
                                                   Role role) {
  check(source);
  AgentVersion version{.digest = sha256_hex(source), .language = language};
  const auto turn = co_await turns_.turn();
  std::erase(recent_, version.file_name());
  recent_.push_back(version.file_name());
  if (recent_.size() > kCountMax / 2) recent_.pop_front();
  auto write = [this, version, role, needed = needed(), source = std::move(source)] {
    write_version(layout_, version, source);
    if (role == Role::current) make_current(layout_, version);
    remove_others(layout_, needed, kCountMax);
  };
  co_await async::offload(pool_, std::move(write));
  co_return version;
}

std::set<std::string> AgentVersions::needed() const {
  std::set<std::string> names = in_use_();
  names.insert(recent_.begin(), recent_.end());
  return names;
}

void AgentVersions::remove_unused() const { remove_others(layout_, needed(), 0); }

}  // namespace cellar::cell
