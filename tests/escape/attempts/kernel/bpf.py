# A BPF program is loaded.
# defence: seccomp; no CAP_BPF
# expect: bpf: EPERM

import ctypes
call("bpf", 0, ctypes.create_string_buffer(128), 128)
call("bpf", 5, ctypes.create_string_buffer(128), 128)
