# Secrets of the agent are looked for by commands: environments, memory, files.
# defence: own namespaces of each domain
# expect: \w+: none

keeper = daemon.create("keeper", agent="module.exports = { len() { return process.env.API_TOKEN.length; } };", secrets={"API_TOKEN": "s3cr3t-of-the-agent"})
assert keeper.request("len").json == 19
out = keeper.exec("cat /proc/[0-9]*/environ /proc/[0-9]*/maps 2> /dev/null; env; grep -rs s3cr3t-of /work /tmp /run /root /etc /var 2> /dev/null")
report("secrets", "none" if "s3cr3t-of" not in out["stdout"] else None)
keeper.call("DELETE")
