#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cellar {

// `count` bytes from the kernel's generator, fit for keys and salts.
std::string random_bytes(std::size_t count);
std::uint64_t random_u64();

// `count` random bytes as lower-case hexadecimal: 2 * count characters.
std::string random_hex(std::size_t count);

}  // namespace cellar
