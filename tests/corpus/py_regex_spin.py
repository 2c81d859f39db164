#!/usr/bin/python3 -B
"""A regular expression with nested repetition is matched against a text that it almost fits: the
interpreter's lock is kept all the while, which is longer than the universe is old. Healthy: against short
ones, with rests between them.

It is a child process that does it: where nobody gets the interpreter's lock nobody can look at stdin
either.
"""
import os
import re
import threading
import time

import corpus


def match_header(length):
    return re.match("(a+)+$", "a" * length + "b")


def match_headers():
    os.write(told, b"%d" % threading.get_native_id())
    while True:
        match_header(60 if corpus.faulty else 18)
        time.sleep(0.5)


def tick():
    while True:
        time.sleep(0.1)


def run():
    corpus.start("ticker", tick)
    corpus.start("matcher", match_headers).join()


heard, told = os.pipe()
pid = corpus.fork_child("mail-parser", run)
corpus.live([int(os.read(heard, 16))], pids=[pid])
