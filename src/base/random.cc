#include "base/random.h"

#include <sys/random.h>

#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace cellar {

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    const ssize_t got = ::getrandom(bytes.data() + have, count - have, 0);
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      throw_errno("getrandom");
    }
  }
  return bytes;
}

std::uint64_t random_u64() {
  std::uint64_t value = 0;
  std::memcpy(&value, random_bytes(sizeof value).data(), sizeof value);
  return value;
}

std::string random_hex(std::size_t count) { return to_hex(random_bytes(count)); }

}  // namespace cellar
