# Processes of the host, or of other cells, are in /proc.
# defence: own pid namespace
# expect: \w+: own

import os
names = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        names.append(open(f"/proc/{pid}/comm").read().strip())
    except OSError:
        pass
strange = [n for n in names if n in ("cellard", "cellar-spawn", "systemd", "init", "sshd", "kthreadd")]
report("processes", "own" if not strange else None)
