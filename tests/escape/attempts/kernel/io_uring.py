# io_uring, the ring that does what a filter would refuse.
# defence: seccomp
# expect: \w+: ENOSYS

import ctypes
call("io_uring_setup", 8, ctypes.create_string_buffer(120))
call("io_uring_enter", 3, 1, 0, 0, 0, 0)
call("io_uring_register", 3, 0, 0, 0)
