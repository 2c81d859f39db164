"""What the programs of the corpus in Python share: as tests/corpus/corpus.h, which tells the protocol.

Threads take their names from outside the interpreter as well (/proc/self/task/TID/comm): those are what
loiter shows.
"""

import ctypes
import json
import os
import platform
import sys
import threading
import time

AN_HOUR = 3600
BEAT = 0.05  # seconds; as in corpus.h
SLOW_BEAT = 0.1
_CALLS = {
    "x86_64": {"futex": 202, "read": 0, "write": 1, "wait4": 61, "flock": 73, "sleep": 230},
    "aarch64": {"futex": 98, "read": 63, "write": 64, "wait4": 260, "flock": 32, "sleep": 115},
}[platform.machine()]

if len(sys.argv) not in (2, 3) or sys.argv[1] not in ("faulty", "healthy"):
    sys.exit("usage: %s faulty|healthy [SCALE_MS]" % sys.argv[0])
faulty = sys.argv[1] == "faulty"
scale = max(int(sys.argv[2]) if len(sys.argv) == 3 else 1000, 10) / 1000  # seconds

_tids = {}


def enter(name):
    """The calling thread takes this name, and is known by it."""
    tid = threading.get_native_id()
    with open("/proc/self/task/%d/comm" % tid, "w") as comm:
        comm.write(name)
    _tids[name] = tid


def start(name, body, *arguments):
    """A thread of that name; it never keeps the program from ending."""

    def run():
        enter(name)
        body(*arguments)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def await_true(what, condition):
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            sys.stderr.write("%s: does not come about\n" % what)
            os._exit(9)
        time.sleep(0.001)


def is_asleep(pid, tid, call):
    """It sleeps in that system call, and goes on doing so: a thread that waits for the interpreter's lock,
    for 5 ms at a time, does not."""
    try:
        with open("/proc/%d/task/%d/syscall" % (pid, tid)) as file:
            before = file.read().split()
        if before[0] != str(_CALLS[call]):
            return False
        switches = _switches(pid, tid)
        time.sleep(0.03)
        return switches == _switches(pid, tid)
    except OSError:
        return False


def _switches(pid, tid):
    with open("/proc/%d/task/%d/status" % (pid, tid)) as file:
        return [line for line in file if "ctxt_switches" in line]


def settled(name, call):
    """Where it is faulty, that thread sleeps in that call for good. Its tid."""
    await_true(name, lambda: name in _tids)
    if faulty:
        await_true(name + " in " + call, lambda: is_asleep(os.getpid(), _tids[name], call))
    return _tids[name]


def fork_child(name, body):
    """A child that ends with us, whatever ends us."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    if os.getppid() != parent:
        os._exit(7)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    try:
        enter(name)
        body()
    finally:
        os._exit(0)


def live(culprits=(), **facts):
    """Tells that it is ready, and ends with stdin."""
    line = {"ready": True, "pid": os.getpid(), "mode": sys.argv[1]}
    line["culprit_tids"] = list(culprits) if faulty else []
    line.update(facts)
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    os._exit(0)
