"""ThreadPoolExecutor under a server with threads, and under asyncio. Usage: executors.py threads|asyncio SOCKET"""
import asyncio
import concurrent.futures
import hashlib
import queue
import socket
import sys
import threading
import time

lock = threading.Lock()
served = 0


def work(data):
    global served
    time.sleep(0.005)
    digest = hashlib.sha256(data * 1000).hexdigest()
    with lock:
        served += 1
    return (digest[:8] + "\n").encode()


def log_lines(lines):
    """A thread that has nothing to do but when a line comes."""
    while True:
        lines.get()


def serve_with_threads(path):
    pool = concurrent.futures.ThreadPoolExecutor(16)
    inner = concurrent.futures.ThreadPoolExecutor(8)
    lines = queue.Queue()
    threading.Thread(target=log_lines, args=(lines,), daemon=True).start()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)

    def serve(client):
        with client:
            while data := client.recv(256):
                client.sendall(inner.submit(work, data).result())
                lines.put("served")

    while True:
        client, _ = listener.accept()
        pool.submit(serve, client)


async def serve_with_asyncio(path):
    loop = asyncio.get_running_loop()
    pool = concurrent.futures.ThreadPoolExecutor(16)

    async def serve(reader, writer):
        while data := await reader.read(256):
            writer.write(await loop.run_in_executor(pool, work, data))
            await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, path) as server:
        await server.serve_forever()


if sys.argv[1] == "threads":
    serve_with_threads(sys.argv[2])
else:
    asyncio.run(serve_with_asyncio(sys.argv[2]))
