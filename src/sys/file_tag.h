#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "sys/beneath.h"

// What tells one content of a file from another, as an entity tag of HTTP (RFC 9110, 8.8.3).
//
// That of a file up to kDigestedBytesMax is made of its bytes. That of a larger one is made of its
// inode, its size and its times, and is weak (W/"…") while another change could leave these as they
// are: times have the grain of the kernel's clock. A store through a shared mapping shows in them
// once the kernel writes it back.
namespace cellar::sys {

inline constexpr std::size_t kDigestedBytesMax = 64 << 10;
// The kernel's clock goes on after that; the tag of a file that rests becomes strong.
inline constexpr std::chrono::milliseconds kClockGrain{10};

std::string digest_tag(std::string_view bytes);
// Of an open file. Reads it where it is small. Blocking. Throws Error.
std::string tag_of(const OpenFile& file);
// Whether it is that of a file that may change and keep it.
bool is_weak(std::string_view tag) noexcept;

}  // namespace cellar::sys
