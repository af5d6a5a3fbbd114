# A command leaves a daemon behind: twice forked, in a session of its own.
# defence: a cgroup for each command
# expect: \w+: gone

cell.exec("setsid sh -c 'setsid sleep 9876 & exit' > /dev/null 2>&1 &")
left = cell.exec("sleep 0.05; ps -e -o args | grep -c '[s]leep 9876'")["stdout"].strip()
report("daemon", "gone" if left == "0" else None)
