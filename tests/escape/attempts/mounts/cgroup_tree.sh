# The host's cgroups are found in the file system.
# defence: nothing of cgroup is mounted
# expect: refused

find / -xdev \( -name release_agent -o -name cgroup.procs -o -name cgroup.kill \) 2> /dev/null | grep . && echo ALLOWED || echo refused
ls /sys/fs/cgroup 2> /dev/null | grep . && echo ALLOWED || echo refused
