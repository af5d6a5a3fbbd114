# A file of the host is written through a link.
# defence: openat2 with RESOLVE_BENEATH; a write replaces the link
# expect: \S+: (\d+|unchanged)

target = daemon.root / "victim"
target.write_text("mine")
cell.exec(["ln", "-sfn", str(target), "/work/writelink"])
cell.call("PUT", "/files/writelink", b"stolen")
report("file", "unchanged" if target.read_text() == "mine" else None)
cell.exec(["ln", "-sfn", str(daemon.root), "/work/folderlink"])
answer = cell.call("PUT", "/files/folderlink/planted", b"stolen")
report("folder", str(answer.status) if not (daemon.root / "planted").exists() else None)
