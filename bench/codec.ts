/**
 * Our codec in this process, on one thread, beside an lzop process, on the same bytes: both read the file from the page
 * cache and write to /dev/null. lzop's time includes its start, about 2 ms; decompressing, our input is in memory, as
 * it is when it comes from a store.
 */
import { closeSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Codec } from '../src/codec/codec.ts';
import { LzopDecoder } from '../src/codec/decoder.ts';
import { LzopEncoder } from '../src/codec/encoder.ts';
import { createCodecPool } from '../src/codec/pool.ts';
import { compare, figure, title } from './compare.ts';
import { cached, database, type Sample, samples } from './data.ts';
import { type Cost, costOf, costOfAwaited, costOfProcess } from './timing.ts';

const ROUNDS = 9;
const CORES = availableParallelism();
/** As base backups hand it on. */
const CHUNK_BYTES = 1024 * 1024;
const HEADER = { mode: 0, mtimeSeconds: 0 };

/** Least throughput beside lzop's: compressing, decompressing. */
const TARGETS: Readonly<Record<Sample['name'], readonly [number, number]>> = {
  WAL: [1.2, 1.8],
  heap: [1.2, 1.8],
  text: [0.85, 1.8],
  random: [2, 2],
  zeros: [2, 2],
};

export async function run(): Promise<void> {
  const all = await samples();
  title('codec: throughput of plain data, one thread, beside lzop 1.04');
  for (const sample of all) await compareOn(sample);
  await compareFirstSegment();
  title(`the codec's pool of ${CORES} threads, beside one thread and beside lzop (there is no target)`);
  for (const sample of all) await comparePool(sample);
}

async function compareOn({ name, path, bytes }: Sample): Promise<void> {
  const ours = cached(`${name}.ours.lzo`);
  const theirs = cached(`${name}.lzop.lzo`);
  compress(path, ours);
  lzop(['-c'], path, theirs);
  checkOutputs(path, ours, theirs);
  const packed = readFileSync(theirs);
  const [compressing, decompressing] = TARGETS[name];
  const sizes = statSync(ours).size / statSync(theirs).size;
  figure(`size of compressed ${name}, to lzop's`, sizes, 1.01, (amount) => amount.toFixed(3));
  await compare({
    work: `compress ${name}`,
    ours: { name: 'ours', run: () => costOf(() => compress(path, '/dev/null')) },
    beside: { name: 'lzop -c', run: () => lzop(['-c'], path, '/dev/null') },
    rounds: ROUNDS,
    target: { atLeast: compressing },
    measures: ['cpu'],
    bytes,
  });
  await compare({
    work: `decompress ${name}`,
    ours: { name: 'ours', run: () => costOf(() => decompress(packed, '/dev/null')) },
    beside: { name: 'lzop -d', run: () => lzop(['-dc'], theirs, '/dev/null') },
    rounds: ROUNDS,
    target: { atLeast: decompressing },
    measures: ['cpu'],
    bytes,
  });
  for (const file of [ours, theirs]) rmSync(file);
}

/** The threads are there before the time starts, as they are in a base backup. */
async function comparePool({ name, path, bytes }: Sample): Promise<void> {
  const packedPath = cached(`${name}.lzop.lzo`);
  lzop(['-c'], path, packedPath);
  const packed = readFileSync(packedPath);
  const pool = createCodecPool({ size: CORES, signal: new AbortController().signal });
  try {
    const compressing = () => costOfAwaited(() => discard(pool.encode(fileChunks(path), HEADER)));
    const decompressing = () => costOfAwaited(() => discard(pool.decode(memoryChunks(packed))));
    const contenders = [
      ['compress', compressing, 'one thread', () => costOf(() => compress(path, '/dev/null'))],
      ['compress', compressing, 'lzop -c', () => lzop(['-c'], path, '/dev/null')],
      ['decompress', decompressing, 'one thread', () => costOf(() => decompress(packed, '/dev/null'))],
      ['decompress', decompressing, 'lzop -d', () => lzop(['-dc'], packedPath, '/dev/null')],
    ] as const;
    for (const [work, ours, other, beside] of contenders) {
      await compare({
        work: `${work} ${name} with the pool`,
        ours: { name: 'ours', run: ours },
        beside: { name: other, run: beside },
        rounds: ROUNDS,
        target: { atLeast: 1 },
        measures: [],
        bytes,
      });
    }
    await checkPool(pool, path);
  } finally {
    await pool.close();
    rmSync(packedPath);
  }
}

async function checkPool(pool: Codec, path: string): Promise<void> {
  const pieces: Uint8Array[] = [];
  for await (const piece of pool.decode(pool.encode(fileChunks(path), HEADER)))
    pieces.push(Buffer.from(piece));
  if (!Buffer.concat(pieces).equals(readFileSync(path))) throw new Error(`the pool changed ${path}`);
}

function* fileChunks(path: string): Generator<Uint8Array> {
  const from = openSync(path, 'r');
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  try {
    for (let length = readSync(from, chunk); length > 0; length = readSync(from, chunk)) {
      yield chunk.subarray(0, length);
    }
  } finally {
    closeSync(from);
  }
}

async function* memoryChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

async function discard(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of pieces);
}

async function compareFirstSegment(): Promise<void> {
  const { segments } = await database();
  const segment = segments[segments.length / 2] ?? '';
  await compare({
    work: 'first 16 MB of WAL in a fresh process',
    ours: { name: 'ours', run: () => firstSegment(segment) },
    beside: { name: 'lzop process', run: () => lzop(['-c'], segment, '/dev/null') },
    rounds: 15,
    target: { atMost: 1 },
    measures: ['wall'],
  });
}

/** From the first line of a new Node process to the last byte compressed; the process says so itself. */
function firstSegment(path: string): Cost {
  const printed = cached('first');
  costOfProcess([process.execPath, cached('compress.child.cjs'), path], { stdout: printed });
  const [wallMs, cpuMs] = readFileSync(printed, 'utf8').split(' ').map(Number);
  rmSync(printed);
  return { wallMs: wallMs ?? Number.NaN, cpuMs: cpuMs ?? Number.NaN };
}

function compress(source: string, target: string): void {
  const from = openSync(source, 'r');
  const to = openSync(target, 'w');
  const encoder = new LzopEncoder(HEADER);
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
}

function decompress(packed: Uint8Array, target: string): void {
  const to = openSync(target, 'w');
  const decoder = new LzopDecoder();
  for (const plain of decoder.pushViews(packed)) writeSync(to, plain);
  decoder.end();
  closeSync(to);
}

function lzop(args: readonly string[], stdin: string, stdout: string): Cost {
  return costOfProcess(['lzop', ...args], { stdin, stdout });
}

/** Each must read what the other wrote. */
function checkOutputs(path: string, ours: string, theirs: string): void {
  const plain = readFileSync(path);
  const back = cached('back');
  lzop(['-dc'], ours, back);
  if (!readFileSync(back).equals(plain)) throw new Error(`lzop read other bytes than we compressed: ${path}`);
  decompress(readFileSync(theirs), back);
  if (!readFileSync(back).equals(plain)) throw new Error(`we read other bytes than lzop compressed: ${path}`);
  rmSync(back);
}
