# Names that nobody listed.
# defence: the daemon is the resolver, and knows only what is listed
# expect: \S+: unknown

import socket
for name in ("example.com", "metadata.google.internal", "localhost.localdomain.example", "registry.npmjs.org"):
    try:
        socket.getaddrinfo(name, 443)
        report(name, None)
    except socket.gaierror:
        report(name, "unknown")
