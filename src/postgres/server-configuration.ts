/**
 * A setting as the running server has it, read from its configuration files: known only while no file that could say
 * it was touched after the server started. There is no asking the server, which may not let us in.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export interface RunningServer {
  readonly dataDirectory: string;
  /** The postmaster's argument vector, its program first. */
  readonly commandLine: readonly string[];
  /** PGDATA in the postmaster's environment. */
  readonly pgdata: string | undefined;
}

const LINE = /^\s*([A-Za-z_][\w.$]*)\s*(?:=\s*|\s+)('(?:[^'\\]|''|\\.)*'|[^\s#']+)\s*(?:#.*)?$/;
const DEEPEST_INCLUDE = 10;
const FOLDER_OPTION = '-D';

/** undefined: not set, or not known for certain. */
export function runningSetting(name: string, server: RunningServer): string | undefined {
  const given = optionsOf(server.commandLine);
  const onCommandLine = given.get(name);
  if (onCommandLine !== undefined) return onCommandLine;
  try {
    const reader = new ConfigurationReader(startSeconds(server.dataDirectory));
    reader.read(configurationFile(given, server));
    reader.read(join(server.dataDirectory, 'postgresql.auto.conf'));
    return reader.values.get(name);
  } catch {
    return undefined;
  }
}

class ConfigurationReader {
  readonly values = new Map<string, string>();
  readonly #serverStart: number;

  constructor(serverStart: number) {
    this.#serverStart = serverStart;
  }

  read(file: string, depth = 0): void {
    if (depth > DEEPEST_INCLUDE) throw new Error('includes too deep');
    this.#mustBeOld(file);
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (/^\s*(#.*)?$/.test(line)) continue;
      const [, key, raw] = LINE.exec(line.trimEnd()) ?? [];
      if (key === undefined || raw === undefined)
        throw new Error('a line that PostgreSQL may read otherwise');
      this.#take(key.toLowerCase(), unquote(raw), file, depth);
    }
  }

  #take(key: string, value: string, file: string, depth: number): void {
    const path = resolve(dirname(file), value);
    if (key === 'include' || key === 'include_if_exists') this.read(path, depth + 1);
    else if (key === 'include_dir') this.#readFolder(path, depth);
    else this.values.set(key, value);
  }

  #readFolder(folder: string, depth: number): void {
    this.#mustBeOld(folder);
    const names = readdirSync(folder).filter((name) => name.endsWith('.conf') && !name.startsWith('.'));
    for (const name of names.sort()) this.read(join(folder, name), depth + 1);
  }

  /** The time of the last change of the inode, which no tool sets back, as `cp -p` or `mv` do with the content's. */
  #mustBeOld(path: string): void {
    if (statSync(path).ctimeMs / 1000 >= this.#serverStart)
      throw new Error('changed since the server started');
  }
}

/** Third line of postmaster.pid: when the server started, in whole seconds, rounded down. */
function startSeconds(dataDirectory: string): number {
  const seconds = Number(readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[2]);
  if (!Number.isInteger(seconds) || seconds <= 0) throw new Error('no start time');
  return seconds;
}

/** The folder of the configuration files need not be the data directory: `data_directory` may lead from one to the other. */
function configurationFile(given: ReadonlyMap<string, string>, server: RunningServer): string {
  const folder = given.get(FOLDER_OPTION) ?? server.pgdata;
  const file =
    given.get('config_file') ?? (folder === undefined ? undefined : join(folder, 'postgresql.conf'));
  // Relative to a folder that the server has left since.
  if (!file?.startsWith('/')) throw new Error('relative path');
  return file;
}

/** `-c name=value`, `--name=value`, `-D directory`; other options set nothing that is asked for here. */
function optionsOf(commandLine: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const [index, word] of commandLine.entries()) {
    const value = word.length === 2 ? commandLine[index + 1] : word.slice(2);
    if (word.startsWith('-D')) found.set(FOLDER_OPTION, value ?? '');
    const setting = word.startsWith('--') ? word.slice(2) : word.startsWith('-c') ? (value ?? '') : '';
    const equals = setting.indexOf('=');
    if (equals > 0)
      found.set(setting.slice(0, equals).replaceAll('-', '_').toLowerCase(), setting.slice(equals + 1));
  }
  return found;
}

function unquote(raw: string): string {
  if (!raw.startsWith("'")) return raw;
  const body = raw.slice(1, -1);
  if (body.includes('\\')) throw new Error('escapes');
  return body.replaceAll("''", "'");
}
