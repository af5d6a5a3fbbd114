# A command blocks every signal and goes on after its timeout.
# defence: cgroup.kill
# expect: \w+: killed

program = "import signal,time\nfor n in range(1,64):\n  try: signal.signal(n, signal.SIG_IGN)\n  except (OSError, ValueError): pass\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\nwhile True: time.sleep(1)"
begin = time.monotonic()
answer = cell.exec(["python3", "-c", program], timeout_ms=300)
report("timeout", "killed" if answer["timed_out"] and time.monotonic() - begin < 2 else None)
