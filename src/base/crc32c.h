#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cellar {

// The CRC-32C (Castagnoli) of what `crc` covers followed by `bytes`; start with 0. Uses the
// processor's instruction where there is one.
std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes) noexcept;

// Its two implementations, for tests; the second gives nullopt where the processor has no SSE4.2.
std::uint32_t crc32c_by_table(std::uint32_t crc, std::string_view bytes) noexcept;
std::optional<std::uint32_t> crc32c_by_sse42(std::uint32_t crc, std::string_view bytes) noexcept;

}  // namespace cellar
