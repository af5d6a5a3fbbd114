# Another cell's files, processes and ports.
# defence: everything is each cell's own
# expect: \w+: none
# in-gvisor: it shows a map of its own; test_gvisor.py looks at the sandbox's
# expect-gvisor: \w+: none|ALLOWED ids
# lacking: idmapped mounts: all cells have the same ids

neighbour.call("PUT", "/files/private", b"of the neighbour")
found = cell.exec("grep -rs 'of the neighbour' /work /tmp /run /root /var /srv /mnt /home 2> /dev/null")
report("files", "none" if "of the neighbour" not in found["stdout"] else None)
uid = [c.exec("cut -c1-30 /proc/self/uid_map")["stdout"].split()[1] for c in (cell, neighbour)]
report("ids", "none" if uid[0] != uid[1] else None)
