# Frames are read from and written to the wire.
# defence: seccomp; no CAP_NET_RAW
# expect: \w+: EAFNOSUPPORT

import socket
attempt("AF_PACKET", lambda: socket.socket(17, socket.SOCK_RAW, 3))
