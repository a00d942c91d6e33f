// Ends and removes what a test process leaves behind, however that process ends: it holds our standard input open,
// and writes one JSON line for each server or folder that it makes. At the end of input everything goes.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const dataDirectories = [];
const folders = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const { dataDirectory, folder } = JSON.parse(line);
  if (dataDirectory !== undefined) dataDirectories.push(dataDirectory);
  if (folder !== undefined) folders.push(folder);
}
await Promise.all(dataDirectories.map(end));
for (const place of mounted().filter((path) => folders.some((folder) => path.startsWith(`${folder}/`))))
  spawnSync('umount', ['-l', place]);
for (const folder of folders)
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });

/** Where file systems are mounted, those inside others first. */
function mounted() {
  try {
    const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => line.split(' ')[1]).reverse();
  } catch {
    return [];
  }
}

async function end(dataDirectory) {
  const pid = postmaster(dataDirectory);
  if (pid === undefined) return;
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      process.kill(pid, attempt < 50 ? 'SIGQUIT' : 'SIGKILL');
    } catch {
      return;
    }
    await delay(100);
  }
}

function postmaster(dataDirectory) {
  try {
    const pid = Number(readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n', 1)[0]);
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
