import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Accepted } from '../../bench/accepted.ts';
import { createScratch } from '../harness/scratch.ts';

function accepted(figures: Record<string, number>, updates = false) {
  const path = join(createScratch(), 'figures.json');
  writeFileSync(path, JSON.stringify({ 'node 20 x64': figures }));
  return { path, accepted: new Accepted(path, updates) };
}

test('a figure that is more than a tenth worse than the accepted one is not kept', () => {
  const { accepted: figures } = accepted({ time: 2, throughput: 2 });
  expect(figures.isKept('node 20 x64', 'time', 2.19)).toBe(true);
  expect(figures.isKept('node 20 x64', 'time', 2.21)).toBe(false);
  expect(figures.isKept('node 20 x64', 'time', 0.1)).toBe(true);
  expect(figures.isKept('node 20 x64', 'throughput', 1.83, 'more')).toBe(true);
  expect(figures.isKept('node 20 x64', 'throughput', 1.81, 'more')).toBe(false);
  expect(figures.isKept('node 20 x64', 'throughput', 9, 'more')).toBe(true);
});

test('figures of other conditions are not compared', () => {
  const { accepted: figures } = accepted({ time: 2 });
  expect(figures.isKept('node 22 x64', 'time', 9)).toBeUndefined();
  expect(figures.isKept('node 20 x64', 'another', 9)).toBeUndefined();
});

test('an update accepts what was measured, and nothing else changes', () => {
  const { path, accepted: figures } = accepted({ time: 2, throughput: 2 }, true);
  expect(figures.isKept('node 20 x64', 'time', 3.00004)).toBe(true);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ 'node 20 x64': { time: 3, throughput: 2 } });
});

test('without an update the file stays as it is', () => {
  const { path, accepted: figures } = accepted({ time: 2 });
  figures.isKept('node 20 x64', 'time', 3);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ 'node 20 x64': { time: 2 } });
});
