# The cloud's metadata service is asked for keys.
# defence: no route; the daemon owns every port of the namespace, and refuses
# expect: \S+: (ECONNREFUSED|ECONNRESET|timed out|told off)

connected("169.254.169.254", 80)
connected("169.254.170.2", 80)
connected("100.100.100.200", 80)
