/**
 * Runs the benchmarks named on the command line, or all. Exits 1 when a ratio is not reached, or a figure is more than a
 * tenth worse than the one that was accepted; `--update` accepts those measured now.
 */
import { allReached } from './compare.ts';

/** In this order; each module's `run` prints its own tables. */
const benches: Readonly<Record<string, () => Promise<{ run(): Promise<void> }>>> = {
  instructions: () => import('./instructions.ts'),
  codec: () => import('./codec.ts'),
  wal: () => import('./wal.ts'),
  drain: () => import('./drain.ts'),
  'backup-push': () => import('./backup-push.ts'),
  'backup-push-s3': () => import('./backup-push-s3.ts'),
  'many-files': () => import('./many-files.ts'),
  'backup-fetch': () => import('./backup-fetch.ts'),
  delete: () => import('./delete.ts'),
};

const names = process.argv.slice(2).filter((word) => word !== '--update');
const unknown = names.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
for (const [name, load] of Object.entries(benches)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const { run } = await load();
  await run();
}
process.exitCode = allReached() ? 0 : 1;
