# Threads without end.
# defence: pids.max of the cell
# expect: threads: EAGAIN
# in-gvisor: threads are its own, made of memory, which the cell's limit counts
# expect-gvisor: threads: EAGAIN|ALLOWED threads
# from: shell

import threading
event = threading.Event()
started = []
try:
    for _ in range(3000):
        thread = threading.Thread(target=event.wait)
        thread.start()
        started.append(thread)
    report("threads", None)
except RuntimeError:
    report("threads", "EAGAIN")
event.set()
for thread in started:
    thread.join()
