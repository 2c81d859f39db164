#!/usr/bin/python3 -B
"""A daemon thread for each request; it waits for an answer that never comes, and so never ends. Healthy:
requests come in bursts and are answered."""
import threading
import time

import corpus


def await_answer(answered):
    answered.wait()


def handle(answered):
    corpus.start("http-request", await_answer, answered)


def accept():
    for _ in range(70 if corpus.faulty else 0):
        handle(threading.Event())
        time.sleep(corpus.scale / 5)
    while not corpus.faulty:
        answered = threading.Event()
        for _ in range(25):
            handle(answered)
            time.sleep(corpus.scale / 50)
        answered.set()
        time.sleep(corpus.scale / 2)
    threading.Event().wait()


corpus.start("http-acceptor", accept)
corpus.live()
