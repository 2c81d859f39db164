#!/usr/bin/python3 -B
"""Two threads take two threading.Locks in opposite orders. A Lock is a semaphore below, which names no
owner: outside of the interpreter nothing tells these two from idle workers. Healthy: the same order."""
import threading
import time

import corpus

users, groups = threading.Lock(), threading.Lock()
has_first = [threading.Event(), threading.Event()]


def update_both(first, second, who):
    with first:
        has_first[who].set()
        while corpus.faulty and not has_first[1 - who].is_set():
            time.sleep(0.001)
        with second:
            pass


def run(who, first, second):
    while True:
        update_both(first, second, who)
        time.sleep(corpus.BEAT)


corpus.start("user-sync", run, 0, users, groups)
corpus.start("group-sync", run, 1, *((groups, users) if corpus.faulty else (users, groups)))
corpus.live([corpus.settled(name, "futex") for name in ("user-sync", "group-sync")])
