# Folders so deep that no path reaches the last.
# defence: trees are deleted by descriptor
# expect: \w+: deleted

deep = suite.fresh_cell("deep")
deep.exec(["python3", "-c", "import os\nos.chdir('/work')\nfor _ in range(5000):\n  os.mkdir('d'*50); os.chdir('d'*50)"], timeout_ms=60000)
report("folders", "deleted" if deep.call("DELETE").status == 204 and not deep.dir.exists() else None)
