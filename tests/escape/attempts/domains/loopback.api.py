# A port that the agent listens at is called by a command.
# defence: own network namespace of each domain
# expect: \w+: ECONNREFUSED

server = "import socket,time\ns=socket.socket(); s.bind(('127.0.0.1',4321)); s.listen(); time.sleep(3)"
client = "import socket\ntry: socket.create_connection(('127.0.0.1',4321),2); print('in')\nexcept OSError as e: print(e.errno)"
thread = threading.Thread(target=lambda: cell.request("run", {"argv": ["python3", "-c", server]}))
thread.start()
time.sleep(1)
answer = cell.exec(["python3", "-c", client])
report("port", "ECONNREFUSED" if answer["stdout"] == "111\n" else None)
thread.join()
