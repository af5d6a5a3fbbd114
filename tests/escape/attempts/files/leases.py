# Leases on files that cells share, so that whoever opens one waits for most of a minute; notices of folders.
# defence: seccomp
# expect: \S+: EPERM

import fcntl, glob, os
for path in ["/usr/bin/env", *filter(os.path.isfile, glob.glob("/opt/cellar/agent-host/*"))]:
    for what, kind in (("to_read", fcntl.F_RDLCK), ("to_write", fcntl.F_WRLCK)):
        with open(path, "rb") as file:
            attempt(f"{path}:{what}", lambda: fcntl.fcntl(file, fcntl.F_SETLEASE, kind))
folder = os.open("/usr/bin", os.O_RDONLY)
attempt("/usr/bin:notices", lambda: fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_CREATE))
