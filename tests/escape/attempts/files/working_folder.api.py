# A command is started in a folder that is a leaked descriptor (CVE-2024-21626).
# defence: the folder is entered inside, where nothing is open
# expect: \S+: (inside|refused)

for number in range(3, 12):
    answer = cell.call("POST", "/exec", {"cmd": ["readlink", "/proc/self/cwd"], "cwd": f"/proc/self/fd/{number}"})
    place = answer.json.get("stdout", "").strip() if answer.status == 200 else ""
    report(f"fd{number}", "refused" if not place else "inside" if place == "/" or place.startswith("/work") else None)
