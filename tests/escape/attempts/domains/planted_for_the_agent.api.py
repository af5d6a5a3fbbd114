# Files in /work that tools of the agent would pick up: modules, settings, hooks.
# defence: the agent host runs nothing from /work
# expect: \w+: unchanged

planted = suite.fresh_cell("planted")
planted.exec("mkdir -p /work/node_modules/child_process /work/node_modules/fs && for m in child_process fs; do echo 'throw new Error(\"planted\")' > /work/node_modules/$m/index.js; done; echo 'node-options=--require=/work/x.js' > /work/.npmrc; echo 'NODE_OPTIONS=--require=/work/x.js' > /work/.env; echo 'process.exit(9)' > /work/x.js; echo '{\"type\":\"module\"}' > /work/package.json")
report("agent", "unchanged" if planted.request("ping").json == "pong" else None)
planted.call("DELETE")
