// Few files for the hot path. esbuild splits ES modules into chunks, and every file that Node opens costs about half a
// millisecond, as does every 20 kB that V8 has to look through. So what every start needs is packed into main.cjs, what
// the WAL verbs need besides into wal.cjs, and for S3 into s3.cjs, as functions that run when they are first required;
// all other chunks stay files of their own and take what they share with these from them.
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { transform } from 'esbuild';

const MAIN = 'main.cjs';
const URL = 'const $here = { get url() { return require("node:url").pathToFileURL(__filename).href; } };';
/** esbuild's helpers, in front of a chunk with exports. */
const HEAD = /^(?<head>var __(?:(?!var stdin_exports=).)*)(?<body>var stdin_exports=.*)$/s;
const REGISTRY = `
const $loaded = Object.create(null);
function $load(name) {
  const known = $loaded[name];
  if (known !== undefined) return known.exports;
  const define = $packed[name] ?? (name in $files ? require($files[name])[name] : undefined);
  if (define === undefined) return require(name);
  const module = ($loaded[name] = { exports: {} });
  define(module, module.exports, $load);
  return module.exports;
}
exports.$load = $load;
`;

/**
 * `result` is esbuild's (ES modules, splitting, metafile). `first` are the source files whose chunks, and all that those
 * import statically, go into main.cjs; `groups` names further files and what goes into them. Returns file name ->
 * CommonJS text.
 */
export async function pack(result, first, groups) {
  const chunks = new Map();
  for (const file of result.outputFiles) chunks.set(basename(file.path), await commonJs(file.text));
  const { outputs } = result.metafile;
  const members = new Map([[MAIN, staticClosure(outputs, first)]]);
  for (const [file, sources] of Object.entries(groups)) {
    const taken = [...members.values()];
    const mine = [...staticClosure(outputs, sources)].filter(
      (name) => !taken.some((names) => names.has(name)),
    );
    members.set(file, new Set(mine));
  }
  const fileOf = new Map([...members].flatMap(([file, names]) => [...names].map((name) => [name, file])));
  const files = new Map();
  for (const [name, code] of chunks) if (!fileOf.has(name)) files.set(name, withUrl(viaMain(code, fileOf)));
  const helpers = longestHead(chunks);
  const packed = (file) => definitions(members.get(file), chunks, file === MAIN);
  const elsewhere = [...fileOf]
    .filter(([, file]) => file !== MAIN)
    .map(([name, file]) => [`./${name}`, `./${file}`]);
  const tables = `const $packed = ${packed(MAIN)}, $files = ${JSON.stringify(Object.fromEntries(elsewhere))};`;
  files.set(MAIN, finished(`${helpers}${tables}${REGISTRY}$load("./${MAIN}");`));
  for (const file of Object.keys(groups))
    files.set(file, finished(`${helpers}module.exports = ${packed(file)};`));
  return files;
}

function finished(code) {
  return withId(withUrl(`"use strict";${code}`));
}

/** V8 compiles a function in parentheses at once, instead of looking through it first and compiling it when it is called. */
function definitions(names, chunks, atOnce) {
  const one = (name) => {
    const text = chunks.get(name);
    const code = `(module, exports, require) {${HEAD.exec(text)?.groups.body ?? text}}`;
    return `${JSON.stringify(`./${name}`)}${atOnce ? `: (function ${code})` : code}`;
  };
  return `{${[...names].map(one).join(',')}}`;
}

/** What esbuild declares at the head of each chunk is declared once in a file: it would be a quarter of the text. */
function longestHead(chunks) {
  const heads = [...chunks.values()].map((text) => HEAD.exec(text)?.groups.head ?? '');
  return heads.sort((left, right) => right.length - left.length)[0];
}

async function commonJs(text) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    minifySyntax: true,
    minifyWhitespace: true,
    define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '$here.url' },
    supported: { 'dynamic-import': false },
  });
  return code;
}

/** The code cache of bin/wal-e.cjs holds for one build only: V8 itself compares nothing but the length of the source. */
function withId(code) {
  if (/[^\0-\x7f]/.test(code)) throw new Error('the code cache reads the source as latin1: it must be ASCII');
  return `//${createHash('sha256').update(code).digest('hex')}\n${code}`;
}

function withUrl(code) {
  return code.includes('$here.url') ? code.replace(/^("use strict";)?/, `$1${URL}`) : code;
}

function viaMain(code, fileOf) {
  return code.replace(/\brequire\("\.\/([^"]+)"\)/g, (call, name) =>
    fileOf.has(name) ? `require("./${MAIN}").$load("./${name}")` : call,
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
