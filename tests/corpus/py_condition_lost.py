#!/usr/bin/python3 -B
"""A thread waits on a Condition that was notified before it came. Healthy: it looks at the flag before it
waits; then it is idle."""
import threading

import corpus

condition = threading.Condition()
notified = threading.Event()
is_ready = False


def await_ready():
    global is_ready
    if corpus.faulty:
        notified.wait()
    with condition:
        while corpus.faulty or not is_ready:
            condition.wait()
        is_ready = False
        while True:
            condition.wait()


def get_ready():
    global is_ready
    with condition:
        is_ready = True
        condition.notify_all()
    notified.set()


corpus.start("starter", get_ready)
corpus.start("ready-waiter", await_ready)
corpus.live([corpus.settled("ready-waiter", "futex")])
