# A file becomes swap space; swap is switched off.
# defence: seccomp; no CAP_SYS_ADMIN
# expect: \w+: EPERM

call("swapon", b"/work/swap", 0)
call("swapoff", b"/dev/zram0")
