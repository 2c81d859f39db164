#!/usr/bin/python3 -B
"""A process forks while another thread of it holds a threading.Lock; the child wants it. Healthy: the
forking thread holds it for the fork, and both give it back."""
import threading
import time

import corpus

lock = threading.Lock()
is_held, is_forked = threading.Event(), threading.Event()


def write_cache():
    with lock:
        is_held.set()
        while corpus.faulty and not is_forked.is_set():
            time.sleep(0.001)
    is_held.clear()


def write_caches():
    while True:
        write_cache()
        time.sleep(corpus.BEAT)


def run_child():
    if not corpus.faulty:
        lock.release()
    while True:
        with lock:
            pass
        time.sleep(corpus.BEAT)


corpus.start("cache-writer", write_caches)
if corpus.faulty:
    is_held.wait()
    pid = corpus.fork_child("cache-child", run_child)
    is_forked.set()
    corpus.await_true("the child hangs", lambda: corpus.is_asleep(pid, pid, "futex"))
else:
    lock.acquire()
    pid = corpus.fork_child("cache-child", run_child)
    lock.release()
corpus.live([pid], pids=[pid])
