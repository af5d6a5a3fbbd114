# The sockets by which the daemon commands cell-init.
# defence: own mount namespace: they are in a folder of the host
# expect: \S+: (absent|none)

from host import STATE
absent(STATE, f"{STATE}/cells")
names = [line.split()[-1] for line in open("/proc/net/unix").read().splitlines()[1:] if len(line.split()) == 8]
report("sockets", "none" if not any("shell.sock" in n or "agent.sock" in n for n in names if not n.startswith(STATE)) else None)
