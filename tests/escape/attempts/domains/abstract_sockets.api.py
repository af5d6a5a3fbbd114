# The agent's abstract sockets are called by a command, and the other way round.
# defence: own network namespace of each domain
# expect: \w+: ECONNREFUSED

server = "import socket,time\ns=socket.socket(socket.AF_UNIX); s.bind('\\0shared'); s.listen(); time.sleep(3)"
client = "import socket\ntry: socket.socket(socket.AF_UNIX).connect('\\0shared'); print('in')\nexcept OSError as e: print(e.errno)"
thread = threading.Thread(target=lambda: cell.request("run", {"argv": ["python3", "-c", server]}))
thread.start()
time.sleep(1)
answer = cell.exec(["python3", "-c", client])
report("agent", "ECONNREFUSED" if answer["stdout"] == "111\n" else None)
thread.join()
