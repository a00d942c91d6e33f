import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch } from '../harness/scratch.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LEFT_BEHIND = new Set(['.git', '.cache', 'dist', 'node_modules', 'fixtures', 'test', 'bench']);

/** Packed from a copy, since packing builds, and installed as an operator does, without a network. */
let installed: string;
let packed: string[];
let scratch: string;

function run(
  command: string,
  args: readonly string[],
  cwd: string,
  environment: Record<string, string> = {},
): string {
  const { PATH = '', HOME = '' } = process.env;
  const path = `${dirname(process.execPath)}:${PATH}`;
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { PATH: path, HOME, WALE_LOG_DESTINATION: 'stderr', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const wale = (args: readonly string[], environment: Record<string, string> = {}) =>
  run(join(installed, 'bin/wal-e'), args, scratch, environment);

beforeAll(() => {
  scratch = createScratch();
  const copy = join(scratch, 'source');
  cpSync(ROOT, copy, {
    recursive: true,
    filter: (path) => dirname(path) !== ROOT.replace(/\/$/, '') || !LEFT_BEHIND.has(basename(path)),
  });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const [{ filename, files }] = JSON.parse(run('npm', ['pack', '--json', '--offline'], copy));
  packed = files.map(({ path }: { path: string }) => path);
  installed = join(scratch, 'prefix');
  mkdirSync(installed);
  const quiet = ['--offline', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', ['install', '-g', '--prefix', installed, ...quiet, join(copy, filename)], scratch);
});

describe('the package', () => {
  it('holds the program, its manual and its licences, and nothing else', () => {
    const folders = new Set(
      packed.map((path) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : path)),
    );
    const known = ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'docs', 'package.json'];
    expect([...folders].filter((name) => !known.includes(name))).toEqual([]);
    expect(packed).toContain('dist/THIRD-PARTY-LICENSES.txt');
    expect(packed.filter((path) => path.startsWith('docs/') && !path.startsWith('docs/man/'))).toEqual([]);
  });

  it('is installed without any other package', () => {
    const folder = join(installed, 'lib/node_modules/wal-e');
    expect(existsSync(join(folder, 'node_modules'))).toBe(false);
    expect(readdirSync(join(installed, 'lib/node_modules'))).toEqual(['wal-e']);
    const { dependencies, scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    expect(dependencies).toBeUndefined();
    for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts).not.toHaveProperty(name);
  });

  it('names the licence of every package inside', () => {
    const folder = join(installed, 'lib/node_modules/wal-e/dist');
    const text = readFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const name of ['yargs', 'pg', 'tar-stream', '@aws-sdk/client-s3', 'assemblyscript']) {
      expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'));
    }
  });

  it('runs: version, help, and a file into the archive and back', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(wale(['version'])).toBe(`${version}\n`);
    expect(wale(['--help'])).toContain('wal-e wal-push');
    const file = join(scratch, '00000002.history');
    const copy = join(scratch, 'copy');
    writeFileSync(file, '1\t0/5000000\tno reason\n');
    const archive = { WALE_FILE_PREFIX: `file://localhost${scratch}/archive` };
    wale(['wal-push', file], archive);
    wale(['wal-fetch', '00000002.history', copy], archive);
    expect(readFileSync(copy, 'utf8')).toBe(readFileSync(file, 'utf8'));
  });

  it('is small enough to be copied by hand', () => {
    const folder = join(installed, 'lib/node_modules/wal-e');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const bytes = files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    expect(bytes).toBeLessThan(5_000_000);
  });
});
