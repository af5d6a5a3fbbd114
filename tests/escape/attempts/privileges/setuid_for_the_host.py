# A setuid program is left in /work for somebody on the host to start.
# defence: the state folder is root's alone; mounts of cells are nosuid
# as: root
# expect: \S+: (kept|inside)

import os
path = f"/work/setuid{os.getpid()}"
open(path, "w").close()
os.chmod(path, 0o6755)
report(path, "kept" if os.stat(path).st_uid == os.getuid() else None)
os.unlink(path)
