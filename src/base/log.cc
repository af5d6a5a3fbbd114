#include "base/log.h"

#include <atomic>
#include <cstdio>

#include "base/clock.h"

namespace cellar::log {
namespace {

std::atomic<Level> lowest{Level::info};

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};

}  // namespace

void set_level(Level level) noexcept { lowest.store(level, std::memory_order_relaxed); }
Level level() noexcept { return lowest.load(std::memory_order_relaxed); }

void write(Level level, std::string_view message) {
  if (level < log::level()) return;
  std::string line = fmt::format("{} {} {}\n", to_iso8601(wall_now()),
                                 kNames[static_cast<std::size_t>(level)], message);
  // What a cell's program wrote may reach a message: a control byte must not reach a terminal.
  for (std::size_t at = 0; at + 1 < line.size(); ++at) {
    const auto byte = static_cast<unsigned char>(line[at]);
    if (byte < 0x20 || byte == 0x7f) line[at] = ' ';
  }
  std::fwrite(line.data(), 1, line.size(), stderr);  // One call: lines of threads do not mix.
}

}  // namespace cellar::log
