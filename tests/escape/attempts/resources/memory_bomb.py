# More memory than the cell has.
# defence: the cell's memory limit
# expect: memory: SIGKILL
# in-gvisor: the whole command ends, or the allocation fails
# expect-gvisor: memory: SIGKILL|memory: MemoryError|memory: exit 1|command: SIGKILL
# from: shell
# lacking: cgroups, to limit memory

def take():
    held = []
    for _ in range(20000):
        held.append(b"x" * (1 << 20))
in_child("memory", take)
