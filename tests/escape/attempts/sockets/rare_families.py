# Families whose modules the kernel would load for the asking.
# defence: seccomp
# expect: \w+: EAFNOSUPPORT

import socket
for family in (3, 4, 5, 9, 15, 18, 19, 20, 21, 23, 26, 29, 30, 31, 32, 33, 35, 36, 37, 39, 41, 42, 43, 44, 45):
    attempt(f"family{family}", lambda: socket.socket(family, socket.SOCK_DGRAM))
