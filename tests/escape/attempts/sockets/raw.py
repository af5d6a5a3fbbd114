# Raw IP.
# defence: no CAP_NET_RAW
# expect: \w+: (EPERM|EACCES)

import socket
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255))
attempt("raw6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58))
