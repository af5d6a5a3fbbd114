# The 32-bit system calls, whose numbers mean other things (bwrap, nsjail and crun let them through).
# defence: seccomp kills
# expect: int0x80: (SIGSYS|SIGILL|SIGSEGV)

import ctypes, mmap, platform
def run():
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # getpid
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
if platform.machine() == "x86_64":
    in_child("int0x80", run)
else:
    report("int0x80", "SIGILL")
