#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <set>
#include <string>

#include "async/pool.h"
#include "async/serial.h"
#include "cell/agent_language.h"
#include "cell/layout.h"

namespace cellar::cell {

namespace asio = boost::asio;

// One version of an agent: a file of /data/versions.
struct AgentVersion {
  std::string digest;  // SHA-256 of its source, hex
  AgentLanguage language = AgentLanguage::javascript;

  std::string file_name() const { return digest + std::string(extension_of(language)); }
};

// The versions of a cell's agent: each is kept as long as something needs it, and then as long as
// there are few. Loop thread only.
class AgentVersions {
 public:
  static constexpr std::size_t kBytesMax = 4 << 20;  // of one
  // Where there are more, those that nothing needs are removed.
  static constexpr std::size_t kCountMax = 64;

  // The names of the files that the cell and its runs need.
  using InUse = std::function<std::set<std::string>()>;

  // `pool` must outlive it.
  AgentVersions(const asio::any_io_executor& executor, async::Pool& pool, const CellLayout& layout,
                InUse in_use)
      : pool_(pool), layout_(layout), in_use_(std::move(in_use)), turns_(executor) {}

  // Throws Error `too_large`, reason `agent_too_large`.
  static void check(const std::string& source);

  // Keeps it. Throws Error, as check().
  asio::awaitable<AgentVersion> keep(AgentLanguage language, std::string source);
  // The same, and data/agent.js or agent.py leads to it.
  asio::awaitable<AgentVersion> keep_as_current(AgentLanguage language, std::string source);

  // All that nothing needs. Blocking.
  void remove_unused() const;

 private:
  enum class Role { version, current };
  asio::awaitable<AgentVersion> write(AgentLanguage language, std::string source, Role role);
  std::set<std::string> needed() const;

  async::Pool& pool_;
  const CellLayout layout_;
  const InUse in_use_;
  async::Serial turns_;
  // The newest last: they may be on their way to be what a run goes on with.
  std::deque<std::string> recent_;
};

}  // namespace cellar::cell
