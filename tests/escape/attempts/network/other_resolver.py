# A resolver of the internet is asked instead.
# defence: whatever the address, the daemon answers
# expect: \S+: (refused|NXDOMAIN|ECONNREFUSED|timed)

import socket, struct
query = struct.pack(">HHHHHH", 9, 0x100, 1, 0, 0, 0) + b"\7example\3com\0" + struct.pack(">HH", 1, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    try:
        client.sendto(query, ("8.8.8.8", 53))
        answer = client.recv(512)
        report("8.8.8.8", {3: "NXDOMAIN", 5: "refused"}.get(answer[3] & 15) if answer[6:8] == b"\0\0" else None)
    except socket.timeout:
        report("8.8.8.8", "timed")
    except ConnectionRefusedError:
        report("8.8.8.8", "ECONNREFUSED")
