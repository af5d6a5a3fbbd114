# Machines beside the host.
# defence: no route; the daemon refuses
# expect: \S+: (ECONNREFUSED|ECONNRESET|timed out|told off)

for address in ("10.0.0.1", "172.17.0.1", "192.168.1.1", "192.168.0.1"):
    connected(address, 443)
    connected(address, 22)
