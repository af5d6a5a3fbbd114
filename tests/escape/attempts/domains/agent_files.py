# The agent's code and its host's are read.
# defence: own mount namespace of each domain
# expect: \S+: absent
# from: shell

absent("/data", "/data/agent.js", "/opt/cellar/agent-host", "/opt/cellar")
