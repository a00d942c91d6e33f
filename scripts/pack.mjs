// One file for the hot path. esbuild splits ES modules into chunks, and every file that Node opens costs about half a
// millisecond. So what every start and the WAL verbs need is packed into main.cjs as functions that run when they are
// first required; all other chunks stay files of their own and take what they share with main from it.
import { basename } from 'node:path';
import { transform } from 'esbuild';

const MAIN = 'main.cjs';
const URL = 'const $here = { get url() { return require("node:url").pathToFileURL(__filename).href; } };';
const REGISTRY = `
const $loaded = Object.create(null);
function $load(name) {
  const known = $loaded[name];
  if (known !== undefined) return known.exports;
  const define = $packed[name];
  if (define === undefined) return require(name);
  const module = ($loaded[name] = { exports: {} });
  define(module, module.exports, $load);
  return module.exports;
}
exports.$load = $load;
`;

/**
 * `result` is esbuild's (ES modules, splitting, metafile); `hot` are the source files whose chunks, and all that those
 * import statically, go into main.cjs. Returns file name -> CommonJS text.
 */
export async function pack(result, hot) {
  const chunks = new Map();
  for (const file of result.outputFiles) chunks.set(basename(file.path), await commonJs(file.text));
  const packed = staticClosure(result.metafile.outputs, hot);
  const files = new Map();
  for (const [name, code] of chunks) {
    if (!packed.has(name)) files.set(name, withUrl(viaMain(code, packed)));
  }
  const definitions = [...packed].map(
    (name) => `${JSON.stringify(`./${name}`)}(module, exports, require) {${chunks.get(name)}}`,
  );
  const text = `"use strict";const $packed = {${definitions.join(',')}};${REGISTRY}$load("./${MAIN}");`;
  files.set(MAIN, withUrl(text));
  return files;
}

async function commonJs(text) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    minifySyntax: true,
    minifyWhitespace: true,
    define: { 'import.meta.url': '$here.url' },
    supported: { 'dynamic-import': false },
  });
  return code;
}

function withUrl(code) {
  return code.includes('$here.url') ? code.replace(/^("use strict";)?/, `$1${URL}`) : code;
}

function viaMain(code, packed) {
  return code.replace(/\brequire\("\.\/([^"]+)"\)/g, (call, name) =>
    packed.has(name) ? `require("./${MAIN}").$load("./${name}")` : call,
  );
}

function staticClosure(outputs, hot) {
  const byName = new Map(Object.entries(outputs).map(([path, output]) => [basename(path), output]));
  const entries = [...byName].filter(([name, { entryPoint }]) => name === MAIN || hot.includes(entryPoint));
  const missing = hot.filter((path) => !entries.some(([, { entryPoint }]) => entryPoint === path));
  if (missing.length > 0) throw new Error(`not the entry of a chunk: ${missing.join(', ')}`);
  const found = new Set();
  const visit = (name) => {
    if (found.has(name)) return;
    found.add(name);
    for (const { path, kind, external } of byName.get(name).imports) {
      if (kind === 'import-statement' && external !== true) visit(basename(path));
    }
  };
  for (const [name] of entries) visit(name);
  return found;
}
