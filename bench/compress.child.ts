/** A process that compresses one file and does nothing else; prints wall and CPU milliseconds since its first line. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { LzopEncoder } from '../src/codec/encoder.ts';

const started = performance.now();
const startedCpu = process.cpuUsage();
const from = openSync(process.argv[2] ?? '', 'r');
const to = openSync('/dev/null', 'w');
const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
const input = encoder.input();
writeSync(to, encoder.header());
for (;;) {
  const length = readSync(from, input);
  if (length === 0) break;
  writeSync(to, encoder.blockView(input.subarray(0, length)));
}
writeSync(to, encoder.end());
closeSync(from);
closeSync(to);
const wallMs = performance.now() - started;
const { user, system } = process.cpuUsage(startedCpu);
// Making this stream costs a millisecond or more, which is no part of the work.
process.stdout.write(`${wallMs} ${(user + system) / 1000}\n`);
