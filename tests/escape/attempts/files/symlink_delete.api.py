# A tree of the host is deleted through a link.
# defence: openat2 with RESOLVE_BENEATH; links are never followed by a delete
# expect: \S+: kept

folder = daemon.root / "precious"
folder.mkdir(exist_ok=True)
(folder / "file").write_text("x")
cell.exec(["ln", "-sfn", str(folder), "/work/deletelink"])
cell.call("DELETE", "/files/deletelink/file")
cell.call("DELETE", "/files/deletelink?recursive=true")
report("folder", "kept" if (folder / "file").exists() else None)
