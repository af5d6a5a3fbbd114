# A name that is not listed is asked for in TLS, at an address of the internet.
# defence: the daemon reads the name and refuses
# expect: \S+: (ECONNRESET|ECONNREFUSED|closed|timed)

import socket, ssl
context = ssl._create_unverified_context()
for server in ("example.com", "metadata.google.internal"):
    try:
        with socket.create_connection(("93.184.216.34", 443), 3) as raw, context.wrap_socket(raw, server_hostname=server):
            report(server, None)
    except socket.timeout:
        report(server, "timed")
    except (ConnectionResetError, ssl.SSLError):
        report(server, "ECONNRESET")
    except ConnectionRefusedError:
        report(server, "ECONNREFUSED")
    except OSError:
        report(server, "closed")
