# An interface is made, the one there is taken down.
# defence: the network namespace belongs to the host's user namespace
# expect: \w+: EPERM
# in-gvisor: routes are told, never changed
# expect-gvisor: \w+: EPERM|\w+: (EACCES|EOPNOTSUPP|ENOTSUP)

import errno, os, socket, struct
def ask(kind, body, flags=5):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
        route.bind((0, 0))
        route.send(struct.pack("=IHHII", 16 + len(body), kind, flags | 0x600 if kind == 16 and flags != 5 else flags, 1, 0) + body)
        answer = route.recv(4096)
        error = -struct.unpack_from("=i", answer, 16)[0]
        if error:
            raise OSError(error, os.strerror(error))
attempt("down", lambda: ask(16, struct.pack("=BxHiII", 0, 0, 1, 0, 1)))
attempt("delete", lambda: ask(17, struct.pack("=BxHiII", 0, 0, 1, 0, 0)))
