#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/database.h"

namespace cellar::store {

// One line that the developer's agent wrote with ctx.journal.step(type, message, meta).
struct DeveloperLine {
  WallTime at;
  std::string type;
  std::string message;
  std::string meta;  // JSON text; empty where none was given
};

// The newest lines that fit both are kept.
struct DeveloperLogLimits {
  std::size_t line_count_max = 10'000;
  std::size_t bytes_max = 16 << 20;
};

// The developer's own log lines (ctx.journal), which are not our journal: nothing is replayed from
// them.
class DeveloperLog {
 public:
  static constexpr std::size_t kLineBytesMax = 256 << 10;

  // `database` must outlive it.
  explicit DeveloperLog(Database& database, const DeveloperLogLimits& limits = {});

  // Durable when it returns. Throws Error `too_large` for a line above kLineBytesMax.
  void append(const DeveloperLine& line);
  // Oldest first.
  std::vector<DeveloperLine> entries();
  void clear();

  // How much there is; set back where a transaction around one of these was undone.
  struct Size {
    std::size_t line_count = 0;
    std::size_t bytes = 0;
  };
  Size size() const noexcept { return size_; }
  void set_back(Size size) noexcept { size_ = size; }

 private:
  void drop_oldest(std::size_t bytes_needed);

  Database& database_;
  DeveloperLogLimits limits_;
  Size size_;
};

}  // namespace cellar::store
