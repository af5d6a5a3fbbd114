# Both domains, or two cells, have ids in common.
# defence: an own range of ids for each domain
# expect: \w+: apart
# in-gvisor: it shows a map of its own; test_gvisor.py looks at the sandbox's
# expect-gvisor: \w+: apart|ALLOWED ids
# lacking: idmapped mounts: all cells have the same ids

maps = [one.exec("cat /proc/self/uid_map")["stdout"].split() for one in (cell, neighbour)]
maps += [one.request("run", {"argv": ["cat", "/proc/self/uid_map"]}).json["stdout"].split() for one in (cell, neighbour)]
ranges = sorted((int(first), int(first) + int(count)) for _, first, count in maps)
apart = all(before[1] <= after[0] for before, after in zip(ranges, ranges[1:])) and ranges[0][0] > 65535
report("ids", "apart" if apart else None)
