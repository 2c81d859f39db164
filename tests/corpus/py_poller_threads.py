#!/usr/bin/python3 -B
"""With each reconnect a daemon thread is started that polls, and the one before goes on. Healthy: it is told
to stop, and joined."""
import threading
import time

import corpus


def poll_server(stopped):
    while not stopped.wait(corpus.scale / 4):
        pass


def reconnect():
    stopped = threading.Event()
    return stopped, corpus.start("server-poll", poll_server, stopped)


def run():
    for _ in range(70 if corpus.faulty else 10**9):
        stopped, thread = reconnect()
        time.sleep(corpus.scale / 4)
        if not corpus.faulty:
            stopped.set()
            thread.join()
    threading.Event().wait()


corpus.start("connection", run)
corpus.live()
