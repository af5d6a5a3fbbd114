# More memory than the cell has.
# defence: the cell's memory limit
# expect: memory: SIGKILL
# from: shell

def take():
    held = []
    for _ in range(20000):
        held.append(b"x" * (1 << 20))
in_child("memory", take)
