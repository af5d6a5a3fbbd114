# More of the processor than the others get.
# defence: no CAP_SYS_NICE
# expect: [\w-]+: (EPERM|EACCES)
# in-gvisor: the number is kept and does nothing; the machine's processes of the sandbox keep theirs
# expect-gvisor: [\w-]+: (EPERM|EACCES)|ALLOWED nice|\S+: EINVAL

import os
attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
attempt("realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
attempt("round-robin", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)))
