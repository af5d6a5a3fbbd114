#include "sys/clone_file.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include "sys/call.h"

namespace cellar::sys {

bool try_clone(int from, int to) noexcept {
  return retry_on_signal([&] { return ::ioctl(to, FICLONE, from); }) == 0;
}

}  // namespace cellar::sys
