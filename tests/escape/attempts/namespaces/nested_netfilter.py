# Root of a user and network namespace of one's own talks to nf_tables (CVE-2021-22555, CVE-2022-25636, CVE-2023-32233,
# CVE-2024-1086).
# defence: seccomp, at each of the three steps
# expect: \w+: (EPERM|EPROTONOSUPPORT)

import socket
call("unshare", 0x10000000 | 0x40000000, what="unshare")
attempt("netfilter", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
