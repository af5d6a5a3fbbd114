# Data leaves in the names that are asked for.
# defence: the daemon answers by itself, and asks nobody about names that are not listed
# expect: \S+: (refused|NXDOMAIN)

import os, socket, struct
query = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0)
for label in (os.urandom(20).hex(), "attacker", "example"):
    query += bytes([len(label)]) + label.encode()
query += b"\0" + struct.pack(">HH", 16, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.sendto(query, ("127.0.0.1", 53))
    answer = client.recv(512)
    code = answer[3] & 15
    answers = struct.unpack(">H", answer[6:8])[0]
    report("TXT", {3: "NXDOMAIN", 5: "refused"}.get(code) if answers == 0 else None)
