#!/usr/bin/python3 -B
"""For each tenant an executor is made and kept, and there is a new tenant each moment. Healthy: it is shut
down when its work is done."""
import concurrent.futures
import threading
import time

import corpus

executors = []


def render():
    time.sleep(0.001)


def serve_tenant():
    executor = concurrent.futures.ThreadPoolExecutor(3, initializer=corpus.enter, initargs=("tenant-render",))
    for _ in range(6):
        executor.submit(render)
    if corpus.faulty:
        executors.append(executor)
    else:
        executor.shutdown()


def serve_tenants():
    for _ in range(23 if corpus.faulty else 10**9):
        serve_tenant()
        time.sleep(corpus.scale * 0.6)
    threading.Event().wait()


corpus.start("tenant-server", serve_tenants)
corpus.live()
