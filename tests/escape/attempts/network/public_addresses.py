# Machines of the internet, by address.
# defence: no route; the daemon refuses what no name led to
# expect: \S+: (ECONNREFUSED|ECONNRESET|timed out|told off)

connected("1.1.1.1", 443)
connected("8.8.8.8", 53)
connected("93.184.216.34", 80)
