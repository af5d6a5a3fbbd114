# Processes of the host are signalled by their numbers.
# defence: own pid namespace
# expect: \w+: ESRCH

import os
from host import DAEMON_PID
for pid in (DAEMON_PID, DAEMON_PID + 1, 400000):
    attempt(f"pid{pid}", lambda: os.kill(pid, 0))
