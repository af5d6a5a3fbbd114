# Netlink beyond addresses and routes: netfilter, audit, IPsec, connectors.
# defence: seccomp
# expect: \w+: EPROTONOSUPPORT

import socket
for name, protocol in dict(netfilter=12, audit=9, xfrm=6, connector=11, generic=16, diag=4, uevent=15, scsi=18).items():
    attempt(name, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol))
