# The agent host is found among the processes.
# defence: own pid namespace of each domain
# expect: \w+: none
# from: shell

import os
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        found.append(open(f"/proc/{pid}/cmdline").read().split("\0"))
    except OSError:
        pass
report("agent", "none" if not any(line[0].endswith("node") or any("host.js" in word for word in line[1:3]) for line in found) else None)
