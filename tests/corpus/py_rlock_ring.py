#!/usr/bin/python3 -B
"""Three threads, each with an RLock, want that of the next. Healthy: the last one takes the first lock
first."""
import threading
import time

import corpus

COUNT = 3
locks = [threading.RLock() for _ in range(COUNT)]
has_first = [threading.Event() for _ in range(COUNT)]


def rebalance(who):
    pair = [locks[who], locks[(who + 1) % COUNT]]
    if who == COUNT - 1 and not corpus.faulty:
        pair.reverse()
    with pair[0]:
        has_first[who].set()
        while corpus.faulty and not all(event.is_set() for event in has_first):
            time.sleep(0.001)
        with pair[1]:
            pass


def run(who):
    while True:
        rebalance(who)
        time.sleep(corpus.BEAT)


names = ["shard-%d" % i for i in range(COUNT)]
for i, name in enumerate(names):
    corpus.start(name, run, i)
corpus.live([corpus.settled(name, "futex") for name in names])
