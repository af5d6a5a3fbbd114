# Tables of the firewall are replaced by socket options (CVE-2021-22555).
# defence: the network namespace belongs to the host's user namespace
# expect: \w+: (EPERM|ENOPROTOOPT)
# in-gvisor: the call does nothing: the sandbox process has no rights over the network namespace
# expect-gvisor: \w+: (EPERM|ENOPROTOOPT)|ALLOWED (replace|counters)

import socket
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
attempt("replace", lambda: client.setsockopt(0, 64, b"\0" * 96))
attempt("counters", lambda: client.setsockopt(0, 65, b"\0" * 40))
