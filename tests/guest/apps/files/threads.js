// SPDX-License-Identifier: Apache-2.0
// node.js: JIT-compiled loops, timers, files, child processes, and worker threads on one shared buffer.
const { Worker, isMainThread, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');
const fs = require('fs');
const crypto = require('crypto');

if (!isMainThread) {
  const cell = new Int32Array(workerData);
  for (let i = 0; i < 100000; i++) Atomics.add(cell, 0, 1);
} else {
  const buffer = new SharedArrayBuffer(4);
  const done = [];
  for (let i = 0; i < 3; i++)
    done.push(new Promise((resolve, reject) =>
      new Worker(__filename, { workerData: buffer }).on('exit', resolve).on('error', reject)));
  Promise.all(done).then(async () => {
    const total = new Int32Array(buffer)[0];
    let primes = 0;
    for (let n = 2; n < 20000; n++) {
      let prime = true;
      for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
      if (prime) primes++;
    }
    fs.writeFileSync('/tmp/node.txt', 'pando'.repeat(100000));
    const hash = crypto.createHash('sha256').update(fs.readFileSync('/tmp/node.txt')).digest('hex');
    const child = execFileSync('/bin/echo', ['child']).toString().trim();
    await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(`node total=${total} primes=${primes} hash=${hash.slice(0, 8)} ${child}`);
  });
}
