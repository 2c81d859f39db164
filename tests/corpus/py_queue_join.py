#!/usr/bin/python3 -B
"""A thread waits in Queue.join() for jobs that are done, but the worker forgets task_done(). Healthy: it is
called, and then the thread has nothing to do."""
import queue
import threading

import corpus

jobs = queue.Queue()


def work_off():
    while True:
        jobs.get()
        if not corpus.faulty:
            jobs.task_done()


def await_jobs():
    for _ in range(3):
        jobs.put(1)
    jobs.join()
    threading.Event().wait()


corpus.start("job-worker", work_off)
corpus.start("job-waiter", await_jobs)
corpus.live([corpus.settled("job-waiter", "futex")])
