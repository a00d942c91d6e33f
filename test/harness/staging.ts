/** Copies of programs where the server's user can read them, whatever folder this checkout is in. Made once a process. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isOpenToAll } from './account.ts';
import { createScratch } from './scratch.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const postgres = new Map<number, string>();
let program: string | undefined;

/** Libraries to link with, and a code cache that another test is just writing. */
const PASSING = /\.a$|\.cache\.\d+$/;

export const OLDEST_POSTGRES = 10;
export const NEWEST_POSTGRES = 18;

/** A folder with bin, lib and share of that major version. */
export function stagePostgres(version: number): string {
  const known = postgres.get(version);
  if (known !== undefined) return known;
  const native = join(root, 'node_modules', `postgres-${version}`, 'native');
  if (!existsSync(native)) throw new Error(`PostgreSQL ${version} is not among the development packages`);
  const target = join(createScratch(), `postgres-${version}`);
  for (const part of ['bin', 'lib', 'share']) stageTree(join(native, part), join(target, part));
  addLibraryLinks(join(native, 'pg-symlinks.json'), target);
  postgres.set(version, target);
  return target;
}

/** The built wal-e, as PostgreSQL's user can start it: absolute path of an executable. */
export function stageProgram(): string {
  if (program !== undefined) return program;
  if (!existsSync(join(root, 'dist'))) throw new Error('there is no dist/: run `npm run build` first');
  const target = createScratch();
  for (const part of ['bin', 'dist']) stageTree(join(root, part), join(target, part));
  copyFileSync(join(root, 'package.json'), join(target, 'package.json'));
  program = join(target, 'bin', 'wal-e.cjs');
  chmodSync(program, 0o755);
  return program;
}

/** A copy of the built wal-e in `folder`, to be spoiled. */
export function copyProgram(folder: string): void {
  const filter = (path: string) => !PASSING.test(path);
  for (const part of ['bin', 'dist', 'package.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true, filter });
}

let node: string | undefined;

/** A folder for PATH that holds this Node, readable by all. */
export function nodeFolder(): string {
  node ??= isOpenToAll(process.execPath) ? process.execPath : stageNode();
  return dirname(node);
}

function stageNode(): string {
  const path = join(createScratch(), 'node');
  stageFile(process.execPath, path);
  return path;
}

function stageTree(source: string, target: string): void {
  mkdirSync(target, { recursive: true, mode: 0o755 });
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (entry.isDirectory()) stageTree(from, to);
    else if (!PASSING.test(entry.name)) stageFile(from, to);
  }
}

/** A hard link where that is possible and others can read the file, else a copy. */
function stageFile(source: string, target: string): void {
  const { mode } = statSync(source);
  const openMode = mode | 0o444 | ((mode & 0o100) === 0 ? 0 : 0o111);
  if (mode === openMode) {
    try {
      linkSync(source, target);
      return;
    } catch {
      // Another file system, or a file that we do not own.
    }
  }
  copyFileSync(source, target);
  chmodSync(target, openMode & 0o777);
}

/** npm packages hold no symbolic links: a script of the package makes them, and it may not have been run. */
function addLibraryLinks(list: string, target: string): void {
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const link of links) {
    const path = join(target, relative('native', link.target));
    if (existsSync(path) || !existsSync(dirname(path))) continue;
    symlinkSync(basename(link.source), path);
  }
}
