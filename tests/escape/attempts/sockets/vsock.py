# The virtual machine monitor below the host is called.
# defence: seccomp
# expect: \w+: EAFNOSUPPORT

import socket
attempt("AF_VSOCK", lambda: socket.socket(40, socket.SOCK_STREAM))
