#!/usr/bin/python3 -B
"""A thread reads from a pipe while it holds a threading.Lock, and nothing comes; two more want the lock.
Healthy: something comes."""
import os
import threading
import time

import corpus

lock = threading.Lock()
reading, writing = os.pipe()
is_held = threading.Event()


def read_device():
    with lock:
        is_held.set()
        os.read(reading, 1)


def poll_device():
    with lock:
        pass


def run(body):
    while True:
        body()
        time.sleep(corpus.BEAT)


def feed():
    while True:
        time.sleep(corpus.AN_HOUR if corpus.faulty else corpus.SLOW_BEAT)
        os.write(writing, b"x")


corpus.start("device-reader", run, read_device)
corpus.start("device-feed", feed)
is_held.wait()
corpus.start("device-poll-1", run, poll_device)
corpus.start("device-poll-2", run, poll_device)
corpus.settled("device-poll-1", "futex")
corpus.settled("device-poll-2", "futex")
corpus.live([corpus.settled("device-reader", "read")])
