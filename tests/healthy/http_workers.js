// Node's HTTP server with worker threads: some wait for messages, one sleeps in Atomics.wait until there is
// work, and libuv's pool derives keys. Usage: node http_workers.js SOCKET
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const http = require('http');

function square(number) {
  return number * number;
}

if (isMainThread) {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const workers = [];
  for (let i = 0; i < 4; ++i) workers.push(new Worker(__filename, { workerData: null }).setMaxListeners(0));
  new Worker(__filename, { workerData: shared });
  let next = 0;
  const server = http.createServer((request, response) => {
    const worker = workers[next++ % workers.length];
    worker.once('message', () => {
      Atomics.add(shared, 0, 1);
      Atomics.notify(shared, 0);
      crypto.pbkdf2('secret', 'salt', 200, 32, 'sha256', () => response.end('served\n'));
    });
    worker.postMessage(next);
  });
  server.listen(process.argv[2]);
} else if (workerData) {
  for (let seen = 0;;) {
    Atomics.wait(workerData, 0, seen);
    seen = Atomics.load(workerData, 0);
  }
} else {
  parentPort.on('message', (number) => parentPort.postMessage(square(number)));
}
