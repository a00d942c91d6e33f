// Builds dist/: the program as a few CommonJS files (they start faster than ES modules: docs/performance.md), the
// worker entries, the WebAssembly modules and the licences of what is inside. esbuild can only split ES modules, so it
// splits first; few-files.mjs says where, and turns the chunks into CommonJS, dynamic imports into lazy requires.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { build } from 'esbuild';
import { commonJs, fewFiles } from './few-files.mjs';
import { licenses } from './licenses.mjs';

/** What every start and the WAL verbs on the file store need: `import()` of these is no seam, they are in main.cjs. */
const HOT = [
  'src/commands/version.ts',
  'src/commands/wal-push.ts',
  'src/commands/wal-fetch.ts',
  'src/wal/push.ts',
  'src/wal/destination.ts',
  'src/wal/prefetched.ts',
  'src/wal/download.ts',
  'src/wal/fetch-ahead.ts',
  'src/store/open.ts',
  'src/store/file-deadline.ts',
];
/** What S3 needs besides, in one file too. */
const S3 = 'src/store/s3/open.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const staging = join(root, `dist.${process.pid}`);
process.on('exit', () => rmSync(staging, { recursive: true, force: true }));

const shared = {
  absWorkingDir: root,
  outdir: staging,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  // Names are kept as they are, so that the stack of an unexpected error can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  define: { __WALE_VERSION__: JSON.stringify(version) },
  outExtension: { '.js': '.cjs' },
  external: ['pg-native'],
  metafile: true,
};

const program = await build({
  ...shared,
  entryPoints: ['src/main.ts'],
  format: 'esm',
  splitting: true,
  write: false,
  plugins: [fewFiles(root, { main: 'src/main.ts', hot: HOT, second: S3 })],
});
mkdirSync(staging, { recursive: true });
for (const [name, code] of await commonJs(program, { 'main.cjs': 'src/main.ts', 's3.cjs': S3 })) {
  writeFileSync(join(staging, name), code);
}
// A worker thread has its own copy of every module, so nothing is gained by sharing chunks with the program.
const workers = await build({
  ...shared,
  entryPoints: readdirSync(join(root, 'src'), { recursive: true })
    .filter((name) => name.endsWith('.worker.ts'))
    .map((name) => ({ in: join('src', name), out: basename(name, '.ts') })),
  format: 'cjs',
  define: { ...shared.define, 'import.meta.dirname': '__dirname', 'import.meta.url': '$url' },
  banner: { js: 'const $url = require("node:url").pathToFileURL(__filename).href;' },
});
await compileModule('lzo1x');
await compileModule('page-checksum', '--importMemory');
writeFileSync(
  join(staging, 'THIRD-PARTY-LICENSES.txt'),
  // The WebAssembly modules hold pieces of AssemblyScript's standard library.
  licenses(root, [program.metafile, workers.metafile], ['node_modules/assemblyscript']),
);
rmSync(join(root, 'dist'), { recursive: true, force: true });
renameSync(staging, join(root, 'dist'));

/** Both work in the same memory, which never grows. */
async function compileModule(name, ...options) {
  const target = relative(join(root, 'assembly'), join(staging, `${name}.wasm`));
  const { error, stderr } = await asc.main([
    join(root, `assembly/${name}.ts`),
    ...['--baseDir', join(root, 'assembly'), '--outFile', target],
    ...['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd,bulk-memory'],
    ...['--initialMemory', '28', '--maximumMemory', '28', ...options],
  ]);
  if (error) throw new Error(`${name} does not compile\n${stderr}`, { cause: error });
}
