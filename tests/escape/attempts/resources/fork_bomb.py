# Processes that start processes.
# defence: pids.max of the cell
# expect: processes: EAGAIN
# in-gvisor: the sandbox ends for want of memory or processes, and the command with it
# expect-gvisor: processes: EAGAIN|command: SIGKILL
# from: shell

import os, signal
children = []
try:
    for _ in range(3000):
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
    report("processes", None)
except BlockingIOError:
    report("processes", "EAGAIN")
for child in children:
    os.kill(child, signal.SIGKILL)
for child in children:
    os.waitpid(child, 0)
