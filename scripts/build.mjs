// Builds dist/: the program as a few CommonJS files (they start faster than ES modules: docs/performance.md), the
// worker entries, and the WebAssembly codec. esbuild can only split ES modules, so it splits first and a second pass
// turns each chunk into CommonJS; dynamic imports become lazy requires.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { build, transform } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const staging = join(root, `dist.${process.pid}`);

const workers = readdirSync(join(root, 'src'), { recursive: true })
  .filter((name) => name.endsWith('.worker.ts'))
  .map((name) => join(root, 'src', name));

const result = await build({
  absWorkingDir: root,
  entryPoints: [join(root, 'src/main.ts'), ...workers].map((path) => ({
    in: path,
    out: path.slice(path.lastIndexOf('/') + 1, -3),
  })),
  outdir: staging,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  define: { __WALE_VERSION__: JSON.stringify(version) },
  outExtension: { '.js': '.cjs' },
  external: ['pg-native'],
  write: false,
});

mkdirSync(staging, { recursive: true });
for (const file of result.outputFiles) {
  const { code } = await transform(file.text, {
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    minify: true,
    define: { 'import.meta.url': '__walModuleUrl' },
    supported: { 'dynamic-import': false },
    banner: file.text.includes('import.meta.url')
      ? 'const __walModuleUrl = require("node:url").pathToFileURL(__filename).href;'
      : '',
  });
  writeFileSync(file.path, code);
}
await compileCodec(join(staging, 'lzo1x.wasm'));
rmSync(join(root, 'dist'), { recursive: true, force: true });
renameSync(staging, join(root, 'dist'));

async function compileCodec(target) {
  const { error, stderr } = await asc.main([
    join(root, 'assembly/lzo1x.ts'),
    ...['--baseDir', join(root, 'assembly'), '--outFile', relative(join(root, 'assembly'), target)],
    ...['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd,bulk-memory'],
    ...['--initialMemory', '10', '--maximumMemory', '10'],
  ]);
  if (error) throw new Error(`the codec does not compile\n${stderr}`, { cause: error });
}
