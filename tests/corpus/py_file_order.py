#!/usr/bin/python3 -B
"""Two processes lock two files by flock, in opposite orders. Healthy: in the same order."""
import fcntl
import mmap
import os
import tempfile
import time

import corpus

has_first = mmap.mmap(-1, 4096)
files = []
with tempfile.TemporaryDirectory(prefix="loiter-corpus-") as directory:
    for name in ("spool", "index"):
        files.append(os.open(os.path.join(directory, name), os.O_RDWR | os.O_CREAT))


def index_spool(first, second, who):
    fcntl.flock(first, fcntl.LOCK_EX)
    has_first[who] = 1
    while corpus.faulty and not has_first[1 - who]:
        time.sleep(0.001)
    fcntl.flock(second, fcntl.LOCK_EX)
    fcntl.flock(second, fcntl.LOCK_UN)
    fcntl.flock(first, fcntl.LOCK_UN)


def run(who):
    own = [os.open("/proc/self/fd/%d" % fd, os.O_RDWR) for fd in files]
    if who == 1 and corpus.faulty:
        own.reverse()
    while True:
        index_spool(*own, who)
        time.sleep(corpus.BEAT)


names = ("spool-indexer", "spool-cleaner")
pids = [corpus.fork_child(name, lambda: run(who)) for who, name in enumerate(names)]
if corpus.faulty:
    for pid in pids:
        corpus.await_true("it waits", lambda: corpus.is_asleep(pid, pid, "flock"))
corpus.live(pids, pids=pids)
