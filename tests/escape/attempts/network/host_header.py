# A name that is not listed is asked for in HTTP.
# defence: the daemon reads the name and refuses
# expect: \S+: (403|ECONNRESET|ECONNREFUSED|closed)

import socket
for host in ("example.com", "169.254.169.254", "localhost", "example.com.", "EXAMPLE.com\t"):
    try:
        with socket.create_connection(("93.184.216.34", 80), 3) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = client.recv(100)
            report(repr(host), "closed" if not answer else "403" if b" 403 " in answer else None)
    except ConnectionRefusedError:
        report(repr(host), "ECONNREFUSED")
    except OSError:
        report(repr(host), "ECONNRESET")
