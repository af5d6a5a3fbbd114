#pragma once

#include <string>

#include "sys/fd.h"

namespace cellar::image {

// SHA-256 of what `file` holds from where it stands, in hex. Blocking. Throws Error, naming `path`.
std::string digest_of(const sys::Fd& file, const std::string& path);

}  // namespace cellar::image
