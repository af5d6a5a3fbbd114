# A folder is exchanged with a link, again and again, while the file API goes through it.
# defence: openat2 with RESOLVE_BENEATH: every step is checked by the kernel
# expect: \w+: never

(daemon.root / "host").mkdir(exist_ok=True)
(daemon.root / "host" / "f").write_text("top secret")
swap = f"""import ctypes, os, shutil, time
shutil.rmtree('/work/race', ignore_errors=True)  # It may be the second time.
os.makedirs('/work/race/a', exist_ok=True); open('/work/race/a/f','w').write('inside')
if not os.path.lexists('/work/race/b'): os.symlink({str(daemon.root / 'host')!r}, '/work/race/b')
libc = ctypes.CDLL(None); end = time.time() + 3
while time.time() < end: libc.renameat2(-100, b'/work/race/a', -100, b'/work/race/b', 2)"""
thread = threading.Thread(target=lambda: cell.exec(["python3", "-c", swap]))
thread.start()
seen = set()
while thread.is_alive():
    answer = cell.call("GET", "/files/race/a/f")
    seen.add(answer.body if answer.status == 200 else answer.status)
    cell.call("PUT", "/files/race/a/g", b"x")
thread.join()
escaped = b"top secret" in seen or (daemon.root / "host" / "g").exists()
report("escapes", "never" if not escaped and b"inside" in seen else None)
