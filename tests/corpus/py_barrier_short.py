#!/usr/bin/python3 -B
"""A Barrier for three, and two threads come. Healthy: three."""
import threading
import time

import corpus

barrier = threading.Barrier(3)


def end_epoch():
    barrier.wait()


def train():
    while True:
        end_epoch()
        time.sleep(corpus.BEAT)


names = ["trainer-1", "trainer-2", "trainer-3"]
for name in names[: 2 if corpus.faulty else 3]:
    corpus.start(name, train)
corpus.live([corpus.settled(name, "futex") for name in names[:2]])
