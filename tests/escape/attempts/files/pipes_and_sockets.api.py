# A pipe that nobody writes to is read, so that the daemon waits for ever.
# defence: only files and folders are opened
# expect: \S+: \d+

cell.exec("mkfifo /work/pipe; python3 -c \"import socket; s=socket.socket(socket.AF_UNIX); s.bind('/work/socket')\"")
for name in ("pipe", "socket"):
    answer = cell.call("GET", f"/files/{name}")
    report(name, str(answer.status) if answer.status >= 400 else None)
    cell.call("POST", "/search", {"query": "anything"})
    cell.call("DELETE", f"/files/{name}")
