#pragma once

// Ends the process with file, line and the condition when `condition` is false: for bugs only. It
// is on in every build. Cells outlive the daemon and recovery is a tested path, so dying is safe.
#define CELLAR_CHECK(condition) \
  ((condition) ? void() : ::cellar::check_failed(__FILE__, __LINE__, #condition))

namespace cellar {

[[noreturn]] void check_failed(const char* file, int line, const char* condition) noexcept;

}  // namespace cellar
