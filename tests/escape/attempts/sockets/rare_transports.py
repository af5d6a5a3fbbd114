# Transports that are modules, too.
# defence: seccomp
# expect: \w+: EPROTONOSUPPORT

import socket
attempt("SCTP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132))
attempt("DCCP", lambda: socket.socket(socket.AF_INET, 6, 33))
attempt("L2TP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 115))
attempt("UDPLITE", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136))
