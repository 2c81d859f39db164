#!/usr/bin/python3 -B
"""A producer puts into a bounded queue whose consumer died of an exception. Healthy: the consumer lives."""
import queue
import time

import corpus

rows = queue.Queue(maxsize=4)


def produce():
    while True:
        rows.put(1)
        time.sleep(0.02)


def consume():
    for number in range(10**9):
        rows.get()
        if corpus.faulty and number == 3:
            raise SystemExit  # as any exception, but silent


corpus.start("row-consumer", consume)
corpus.start("row-producer", produce)
corpus.live([corpus.settled("row-producer", "futex")])
