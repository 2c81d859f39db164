#!/usr/bin/python3 -B
"""A process waits for its child to end, and the child writes more than fits into the pipe that the process
would read afterwards. Healthy: it reads first."""
import os
import subprocess
import sys
import time

import corpus

WRITER = """
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
for i in range(40): os.write(1, b'x' * 4096)
"""


def run_report():
    child = subprocess.Popen([sys.executable, "-B", "-S", "-c", WRITER], stdout=subprocess.PIPE)
    os.write(told, b"%d\n" % child.pid)
    if corpus.faulty:
        child.wait()
    child.stdout.read()
    child.stdout.close()
    child.wait()


def run_reports():
    while True:
        run_report()
        time.sleep(0.3)


# In a child of its own, which has one thread: nobody else could read that pipe.
heard, told = os.pipe()
pid = corpus.fork_child("report-runner", run_reports)
os.close(told)
writer = int(os.read(heard, 16).split()[0])
if corpus.faulty:
    corpus.await_true("it waits", lambda: corpus.is_asleep(pid, pid, "wait4"))
    corpus.await_true("the writer is full", lambda: corpus.is_asleep(writer, writer, "write"))
corpus.live([pid, writer], pids=[pid, writer] if corpus.faulty else [pid])
