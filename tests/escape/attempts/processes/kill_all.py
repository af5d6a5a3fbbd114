# Every process is killed.
# defence: own pid namespace; process 1 takes no signal from inside
# expect: \w+: (EPERM|alive|ESRCH)
# in-gvisor: the caller is killed with the rest of its own command
# expect-gvisor: \w+: (EPERM|alive|ESRCH)|command: SIGKILL
# from: shell

import os, signal
child = os.fork()
if child == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    import time
    time.sleep(20)
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
try:
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGSTOP)
    os.kill(-1, signal.SIGTERM)
except OSError:
    pass
os.kill(child, signal.SIGKILL)
report("init", "alive" if os.path.exists("/proc/1") else None)
