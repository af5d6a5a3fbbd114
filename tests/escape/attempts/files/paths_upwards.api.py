# Paths that lead upwards, in every spelling.
# defence: paths are resolved beneath /work
# expect: \S+: \d+

import http.client
for path in ("../cell.json", "..%2fcell.json", "%2e%2e/cell.json", "a/../../cell.json", "/etc/passwd", "%2fetc%2fpasswd", "....//cell.json",
             "..%5ccell.json", "%00", "link%00.txt"):
    connection = daemon.connect()
    connection.request("GET", f"/api/v1/cells/{cell.id}/files/{path}", headers={"Authorization": f"Bearer {daemon.key}"})
    response = connection.getresponse()
    body = response.read()
    report(path, str(response.status) if response.status >= 400 else None)
    connection.close()
