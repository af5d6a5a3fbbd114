# The kernel's crypto sockets, which wrote into the page cache (CVE-2026-31431).
# defence: seccomp
# expect: \w+: EAFNOSUPPORT

import socket
attempt("AF_ALG", lambda: socket.socket(38, socket.SOCK_SEQPACKET))
