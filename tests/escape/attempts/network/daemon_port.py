# The daemon is called at its port of the host's loopback.
# defence: own network namespace
# expect: \S+: (ECONNREFUSED|ECONNRESET|timed out|told off)

from host import DAEMON_PORT
connected("127.0.0.1", DAEMON_PORT)
connected("127.1.2.3", DAEMON_PORT)
connected("0.0.0.0", DAEMON_PORT)
