// Few files for the hot path. Every file that Node opens costs about half a millisecond, and so does every call across
// the border of two chunks in the time until V8 has seen it. So what every start and the WAL verbs need is one scope in one
// file, main.cjs, and what S3 needs besides is a second one.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { transform } from 'esbuild';

const URL = 'const $here = { get url() { return require("node:url").pathToFileURL(__filename).href; } };';
const LAZY = /\bimport\('(\.[^']+)'\)/g;

/**
 * esbuild puts a module into the chunk of all modules that the same entries reach, and every `import()` makes an entry.
 * `import()` of a hot module therefore becomes a static one; and every other entry is told to import `main`, and what
 * stands behind `second` to import that, so that whatever these reach is reached by all, and shared in one chunk each.
 * At run time this changes nothing: main is always loaded first.
 */
export function fewFiles(root, { main, hot, second }) {
  const staticImports = new Set(hot);
  const entries = new Map();
  const inside = (path) => relative(root, path);
  return {
    name: 'few files',
    setup(build) {
      build.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
        const here = inside(path);
        const imports = [];
        const text = readFileSync(path, 'utf8').replace(LAZY, (call, target) => {
          const found = inside(join(dirname(path), target));
          if (!staticImports.has(found)) {
            const behindSecond = dirname(here) === dirname(second);
            entries.set(found, behindSecond);
            return call;
          }
          const names = exportedNames(join(root, found));
          const local = (name) => `$${imports.length}${name}`;
          const listed = (form) => names.map(form).join(',');
          const value = listed((name) => `${name}:${local(name)}`);
          imports.push(
            `import {${listed((name) => `${name} as ${local(name)}`)}} from ${JSON.stringify(target)};`,
          );
          return `Promise.resolve({${value}})`;
        });
        if (entries.has(here)) {
          imports.push(`import ${JSON.stringify(join(root, main))};`);
          if (entries.get(here) && here !== second)
            imports.push(`import ${JSON.stringify(join(root, second))};`);
        }
        // In front, on the first line: the numbers of the lines stay what they are.
        return { contents: `${imports.join('')}${text}`, loader: 'ts' };
      });
    },
  };
}

/** Not a namespace object, which esbuild would make of getters. */
function exportedNames(path) {
  const declarations = readFileSync(path, 'utf8').matchAll(
    /^export (?:async )?(?:function\*?|const|class) (\w+)/gm,
  );
  return [...declarations].map(([, name]) => name);
}

/**
 * `result` is esbuild's (ES modules, splitting, metafile); `names`: file name -> the source whose chunk is called so.
 * Returns file name -> CommonJS text.
 */
export async function commonJs(result, names) {
  const fileNames = chunkNames(result.metafile.outputs, names);
  const files = new Map();
  for (const { path, text } of result.outputFiles) {
    const name = fileNames.get(basename(path));
    // An entry that only hands on what is in a chunk is not needed.
    if (name !== basename(path) && Object.keys(outputOf(result, path).inputs).length === 0) continue;
    const code = await asCommonJs(text);
    const named = code.replace(/(?<=\brequire\("\.\/)[^"]+(?="\))/g, (chunk) => fileNames.get(chunk));
    files.set(name, finished(named));
  }
  return files;
}

function outputOf(result, path) {
  return Object.entries(result.metafile.outputs).find(([output]) => basename(output) === basename(path))[1];
}

/** Base name of every chunk -> the name of the file it becomes. */
function chunkNames(outputs, names) {
  const fileNames = new Map(Object.keys(outputs).map((path) => [basename(path), basename(path)]));
  for (const [name, source] of Object.entries(names)) {
    const [chunk, { exports }] = Object.entries(outputs).find(([, { inputs }]) => source in inputs);
    fileNames.set(basename(chunk), name);
    for (const [path, entry] of Object.entries(outputs)) {
      if (entry.entryPoint !== source) continue;
      const renamed = entry.exports.find((word) => !exports.includes(word));
      if (renamed !== undefined) throw new Error(`${chunk} does not export ${renamed} of ${source}`);
      fileNames.set(basename(path), name);
    }
  }
  return fileNames;
}

async function asCommonJs(text) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    minifySyntax: true,
    minifyWhitespace: true,
    define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '$here.url' },
    supported: { 'dynamic-import': false },
  });
  // Our own files ask one another for names only: what esbuild wraps around CommonJS modules would be work for nothing.
  const plain = code
    .replace('module.exports=__toCommonJS(stdin_exports)', 'module.exports=stdin_exports')
    .replace(/__toESM\((require\("\.\/[^"]+"\))\)/g, '$1');
  return withUrl(plain);
}

function withUrl(code) {
  return code.includes('$here.url') ? code.replace(/^("use strict";)?/, `$1${URL}`) : code;
}

/** The code cache of bin/wal-e.cjs holds for one build only: V8 itself compares nothing but the length of the source. */
function finished(code) {
  if (/[^\0-\x7f]/.test(code)) throw new Error('the code cache reads the source as latin1: it must be ASCII');
  return `//${createHash('sha256').update(code).digest('hex')}\n${code}`;
}
