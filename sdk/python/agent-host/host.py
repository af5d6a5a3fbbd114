"""The agent host for Python: the program that cellard starts in a cell's agent domain.

It takes any Python far enough to say that it is too old for agents.
"""
import sys

OLDEST = (3, 11)
TOO_OLD = 69

if sys.version_info < OLDEST:
    sys.stderr.write("agents need Python %d.%d or newer, this is %s\n"
                     % (OLDEST[0], OLDEST[1], sys.version.split()[0]))
    sys.exit(TOO_OLD)

from cellar_agent import host  # noqa: E402

sys.path.pop(0)  # The agent's own imports find nothing of ours by accident.

if __name__ == "__main__":
    host.main()
