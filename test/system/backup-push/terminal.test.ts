import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backupNames } from '../../harness/archived-cluster.ts';
import { type Cluster, createCluster } from '../../harness/postgres.ts';
import { PROGRAM, runProgram } from '../../harness/program.ts';
import { createScratch } from '../../harness/scratch.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await createCluster();
  await cluster.start();
  await cluster.stop();
});

afterAll(async () => {
  await cluster.dispose();
});

/** `script` of util-linux, which every Debian has: runs a command on a terminal of its own, and copies what it shows. */
const hasScript = () => spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;

const LINE =
  /^pushed (?<done>[\d.]+) (?:k|M)?B of (?<total>[\d.]+) MB \((?<percent>\d+)%\), [\d.]+ (?:k|M)?B\/s(?:, \d+ s left)?, (?<parts>\d+) parts$/;

describe('on a terminal', () => {
  it('one line says bytes done of total, rate, time left and parts, and is gone at the end', async ({
    skip,
  }) => {
    if (!hasScript()) skip('this machine has no util-linux script');
    const archive = mkdtempSync(join(createScratch(), 'archive-'));
    const words = [process.execPath, PROGRAM, 'backup-push', '--while-offline', '--with-config'];
    const command = [...words, '--cluster-read-rate-limit', '15000000', cluster.dataDirectory].join(' ');
    // The program itself is `script`'s: on a terminal standard output and standard error are one.
    const { status, stdout } = await runProgram([], {
      wrapper: ['sh', '-c', 'exec script -qec "$0" /dev/null', command],
      environment: { WALE_FILE_PREFIX: `file://localhost${archive}`, SHELL: '/bin/sh' },
    });
    expect(status, stdout).toBe(0);
    expect(backupNames(archive)).toHaveLength(1);
    const [before = '', ...rewritten] = stdout.split('\r\u001b[K');
    expect(before).toContain('starting WAL-E');
    const lines = rewritten.flatMap((text): Record<string, string>[] => {
      const groups = LINE.exec(text)?.groups;
      return groups === undefined ? [] : [groups];
    });
    expect(lines.length, stdout).toBeGreaterThan(3);
    const done = lines.map(({ percent }) => Number(percent));
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBeGreaterThan(done[0] ?? 0);
    expect(new Set(lines.map(({ total }) => total)).size).toBe(1);
    expect(rewritten.some((text) => / s left, /.test(text))).toBe(true);
    // What is no progress is a record of the log, which begins where the line was.
    const others = rewritten.filter((text) => text !== '' && !LINE.test(text));
    for (const text of others) expect(text).toMatch(/^wal_e\.\S+ +[A-Z]+ +MSG: /);
    expect(rewritten.at(-1)).toContain('the base backup is complete');
    expect(stdout.match(/MSG: pushed/)).toBeNull();
  });
});
