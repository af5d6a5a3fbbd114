# What root in the cell may do is read: nothing that administers.
# defence: the bounding set
# expect: \w+: absent

lines = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if line.startswith("Cap"))
bounds = int(lines["CapBnd"], 16) | int(lines["CapPrm"], 16)
for name, bit in dict(dac_read_search=2, linux_immutable=9, net_broadcast=11, net_admin=12, net_raw=13, ipc_lock=14, sys_module=16,
                      sys_rawio=17, sys_ptrace=19, sys_pacct=20, sys_admin=21, sys_boot=22, sys_nice=23, sys_resource=24,
                      sys_time=25, mknod=27, mac_admin=33, syslog=34, perfmon=38, bpf=39, checkpoint_restore=40).items():
    report(name, None if bounds >> bit & 1 else "absent")
