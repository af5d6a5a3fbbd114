# The agent's code is changed by the agent's own programs.
# defence: /data is read-only
# expect: \S+: (EROFS|EACCES|EPERM)
# from: agent

import os
written("/data/agent.js")
attempt("/data/new", lambda: os.mkdir("/data/new"))
attempt("/data/rename", lambda: os.rename("/data/agent.js", "/data/old.js"))
written("/opt/cellar/agent-host/host.js")
