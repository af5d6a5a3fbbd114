# The machine is switched off.
# defence: seccomp; no CAP_SYS_BOOT
# expect: reboot: EPERM

call("reboot", 0xfee1dead, 672274793, 0x4321FEDC, 0)
call("reboot", 0xfee1dead, 672274793, 0, 0)
