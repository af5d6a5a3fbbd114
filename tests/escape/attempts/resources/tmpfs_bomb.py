# /tmp is filled.
# defence: its size
# expect: \S+: ENOSPC
# from: shell

import os
def fill(folder):
    path = f"{folder}/bomb{os.getpid()}"
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(4096):
            os.write(file, b"x" * (1 << 20))
    finally:
        os.close(file)
        os.unlink(path)
attempt("/tmp", lambda: fill("/tmp"))
attempt("/dev/shm", lambda: fill("/dev/shm"))
