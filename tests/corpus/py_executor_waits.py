#!/usr/bin/python3 -B
"""Jobs of an executor submit jobs to the same executor and wait for them; all its workers do. Healthy: it
has more workers than jobs that wait."""
import concurrent.futures
import itertools
import threading
import time

import corpus

numbers = itertools.count(1)
started = threading.Semaphore(0)


def outer_job():
    if corpus.faulty:
        both_there.wait()
    return executor.submit(int).result()


def submit():
    while True:
        for future in [executor.submit(outer_job) for _ in range(2)]:
            future.result()
        time.sleep(corpus.BEAT)


both_there = threading.Barrier(2)
executor = concurrent.futures.ThreadPoolExecutor(
    2 if corpus.faulty else 4, initializer=lambda: corpus.enter("crawler-%d" % next(numbers))
)
corpus.start("crawl-submit", submit)
corpus.live([corpus.settled(name, "futex") for name in ("crawler-1", "crawler-2")])
