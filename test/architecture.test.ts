/** docs/architecture.md as a test: who may import whom, and how large files and functions may be. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'oxc-parser';
import { describe, expect, it } from 'vitest';

const SOURCES = fileURLToPath(new URL('../src', import.meta.url));

const BASEMENT = [
  'byte-string',
  'early-sync',
  'errno',
  'errors',
  'folder-lock',
  'log.ts',
  'parallel',
  'program',
  'progress',
];
const TOOLS = ['codec', 'crypt', 'postgres', 'store', 'tar', 'text'];
const WORK = ['backup', 'check', 'deletion', 'listing', 'restore', 'verification', 'wal'];

/** Room -> what it may import, besides itself. `type:` and `lazy:` allow only such imports. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  main: ['cli', 'settings', 'log', ...BASEMENT, 'type:commands', 'type:store', 'lazy:store/open'],
  cli: ['settings', 'errno', 'errors', 'type:commands', 'lazy:commands', 'lazy:wal'],
  commands: [...WORK, 'archive', 'settings', ...TOOLS, ...BASEMENT],
  ...Object.fromEntries(WORK.map((room) => [room, ['archive', 'settings', ...TOOLS, ...BASEMENT]])),
  // What an object of the archive holds is lzop, perhaps inside gpg.
  archive: ['postgres', 'codec/decoder', 'crypt/gpg', 'type:store', ...BASEMENT],
  log: ['settings', 'log.ts', 'errno', 'errors'],
  settings: ['type:postgres', 'errno', 'errors'],
  ...Object.fromEntries(TOOLS.map((room) => [room, ['type:settings', ...BASEMENT]])),
  // Keys are made by the archive's layout alone; what a store is asked for is settled by its settings.
  store: ['archive/layout', 'settings', ...BASEMENT],
  'log.ts': ['errors'],
  progress: ['type:log.ts', 'errors'],
  'byte-string': [],
  'early-sync': [],
  errno: [],
  errors: [],
  'folder-lock': [],
  parallel: ['errors'],
  program: ['errors'],
};

const PACKAGES: readonly { readonly name: RegExp; readonly room: string }[] = [
  { name: /^pg(-|$)/, room: 'postgres/' },
  { name: /^@(aws-sdk|smithy)\//, room: 'store/s3/' },
  { name: /^yargs$/, room: 'cli/' },
  { name: /^tar-stream$/, room: 'tar/' },
];

interface Import {
  /** Relative to src, as the importing file; or the package's name. */
  readonly target: string;
  readonly kind: 'value' | 'type' | 'lazy';
}

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  /** Lines of each function, and where it begins. */
  readonly functions: readonly { readonly line: number; readonly lines: number }[];
  /** `process.exit`, `process.env` and the like. */
  readonly processUses: readonly string[];
}

const sources: readonly Source[] = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  .map(readSource);

function readSource(path: string): Source {
  const text = readFileSync(join(SOURCES, path), 'utf8');
  const { program, module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const functions: { line: number; lines: number }[] = [];
  const processUses: string[] = [];
  const addFunction = ({ start, end }: { start: number; end: number }) => {
    functions.push({ line: countLines(text.slice(0, start)), lines: countLines(text.slice(start, end)) });
  };
  new Visitor({
    FunctionDeclaration: addFunction,
    FunctionExpression: addFunction,
    ArrowFunctionExpression: addFunction,
    MemberExpression: ({ start, end }) => {
      const use = text.slice(start, end);
      if (/^process\.\w+$/.test(use)) processUses.push(use);
    },
  }).visit(program);
  return { path, text, imports: importsOf(path, text, module), functions, processUses };
}

function importsOf(path: string, text: string, module: ReturnType<typeof parseSync>['module']): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, kind: Import['kind']) => {
    if (specifier.startsWith('node:')) return;
    const target = specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier;
    found.push({ target, kind });
  };
  for (const { moduleRequest, entries } of module.staticImports) {
    const isType = entries.length > 0 && entries.every((entry) => entry.isType);
    add(moduleRequest.value, isType ? 'type' : 'value');
  }
  for (const { moduleRequest, isType } of module.staticExports.flatMap(({ entries }) => entries)) {
    if (moduleRequest) add(moduleRequest.value, isType ? 'type' : 'value');
  }
  for (const { moduleRequest } of module.dynamicImports) {
    add(text.slice(moduleRequest.start + 1, moduleRequest.end - 1), 'lazy');
  }
  return found;
}

function countLines(text: string): number {
  return text.trimEnd().split('\n').length;
}

/** `log.ts` is a room beside the folder `log`. */
function roomOf(path: string): string {
  if (path === 'log.ts') return path;
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '');
}

function isAllowed(room: string, { target, kind }: Import): boolean {
  const names = [roomOf(target), target.replace(/\.ts$/, '')];
  return (ALLOWED[room] ?? []).some((rule) => {
    const [, only, name = ''] = /^(?:(type|lazy):)?(.*)$/.exec(rule) ?? [];
    return names.includes(name) && (only === undefined || only === kind);
  });
}

function violations(find: (source: Source) => readonly string[]): string[] {
  return sources.flatMap((source) => find(source).map((what) => `${source.path}: ${what}`));
}

describe('imports', () => {
  it('every room is named in the rules', () => {
    expect(
      [...new Set(sources.map(({ path }) => roomOf(path)))].filter((room) => !(room in ALLOWED)),
    ).toEqual([]);
  });

  it('go only where the rules let them', () => {
    const found = violations(({ path, imports }) =>
      imports
        .filter(({ target }) => target.endsWith('.ts') && roomOf(target) !== roomOf(path))
        .filter((one) => !isAllowed(roomOf(path), one))
        .map(({ target, kind }) => `${kind} import of ${target}`),
    );
    expect(found).toEqual([]);
  });

  it('never lead from one command to another', () => {
    const found = violations(({ path, imports }) =>
      imports
        .filter(({ target }) => path.startsWith('commands/') && target.startsWith('commands/'))
        .filter(({ target, kind }) => target !== 'commands/context.ts' || kind !== 'type')
        .map(({ target }) => target),
    );
    expect(found).toEqual([]);
  });

  it('reach each package in one room only', () => {
    const found = violations(({ path, imports }) =>
      imports
        .filter(({ target, kind }) => !target.endsWith('.ts') && kind !== 'type')
        .filter(
          ({ target }) => !PACKAGES.some(({ name, room }) => name.test(target) && path.startsWith(room)),
        )
        .map(({ target }) => target),
    );
    expect(found).toEqual([]);
  });

  it('have no cycles', () => {
    const graph = new Map(
      sources.map(({ path, imports }) => [
        path,
        imports.filter(({ kind }) => kind === 'value').map(({ target }) => target),
      ]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      if (done.has(path) || trail.includes(path)) return;
      for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });
});

describe('the process', () => {
  it.each(['process.exit', 'process.env'])('main alone uses %s', (name) => {
    const found = violations(({ path, processUses }) => (path === 'main.ts' ? [] : processUses));
    expect(found.filter((use) => use.endsWith(name))).toEqual([]);
  });
});

describe('sizes', () => {
  it('no file is longer than 300 lines, and half of them are not longer than 100', () => {
    const sizes = sources.map(({ text }) => countLines(text)).sort((a, b) => a - b);
    expect(violations(({ text }) => (countLines(text) > 300 ? [`${countLines(text)} lines`] : []))).toEqual(
      [],
    );
    expect(sizes[Math.floor(sizes.length / 2)]).toBeLessThanOrEqual(100);
  });

  it('no function is longer than 60 lines', () => {
    const found = violations(({ functions }) =>
      functions.filter(({ lines }) => lines > 60).map(({ line, lines }) => `line ${line}: ${lines} lines`),
    );
    expect(found).toEqual([]);
  });
});
