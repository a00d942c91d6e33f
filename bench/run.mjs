// Bundles bench/run.ts and runs it: `npm run bench` (all), `npm run bench -- codec start` (some).
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

// Node 20 reads this bundle at every start: 100 ms that have nothing to do with what is measured.
delete process.env.NODE_EXTRA_CA_CERTS;

const here = fileURLToPath(new URL('.', import.meta.url));
const outfile = join(here, '../.cache/bench/run.mjs');
mkdirSync(join(here, '../.cache/bench'), { recursive: true });
const children = readdirSync(here).filter((name) => name.endsWith('.child.ts'));
const common = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  plugins: [{ name: 'source addresses', setup: keepSourceAddresses }],
};
await build({ ...common, entryPoints: [join(here, 'run.ts')], outfile, format: 'esm' });
// Processes that a benchmark starts are built like the program.
await build({
  ...common,
  entryPoints: children.map((name) => join(here, name)),
  outdir: join(here, '../.cache/bench'),
  format: 'cjs',
  minify: true,
  outExtension: { '.js': '.cjs' },
});
await import(pathToFileURL(outfile).href);

/** A module that asks for its own address gets that of its source, not that of the bundle. */
function keepSourceAddresses({ onLoad }) {
  onLoad({ filter: /\.ts$/ }, ({ path }) => ({
    contents: readFileSync(path, 'utf8')
      .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
      .replaceAll('import.meta.dirname', JSON.stringify(dirname(path))),
    loader: 'ts',
  }));
}
