# Abstract sockets of the host (D-Bus, containerd) are called.
# defence: own network namespace; Landlock
# expect: \S+: (ECONNREFUSED|EPERM)

import socket
from host import DAEMON_PID
for name in ("@/tmp/.X11-unix/X0", "/containerd-shim/x.sock", f"cellar-{DAEMON_PID}"):
    with socket.socket(socket.AF_UNIX) as client:
        attempt(name, lambda: client.connect("\0" + name.lstrip("@")))
