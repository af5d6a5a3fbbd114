# Every process is killed by a command while the agent answers.
# defence: own pid namespace of each domain
# expect: \w+: answers

cell.request("ping")
cell.exec("kill -9 -1")
report("agent", "answers" if cell.request("ping").json == "pong" else None)
