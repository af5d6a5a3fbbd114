# The same by IPv6, and by IPv4 in IPv6.
# defence: own network namespace
# expect: \S+: (ECONNREFUSED|ECONNRESET|ENETUNREACH|EADDRNOTAVAIL|EHOSTUNREACH)

import socket
from host import DAEMON_PORT
connected("::1", DAEMON_PORT, socket.AF_INET6)
connected("::ffff:127.0.0.1", DAEMON_PORT, socket.AF_INET6)
