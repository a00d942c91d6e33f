/**
 * Whether this process is all that archive_command does. Only then may it tell PostgreSQL that other segments than the
 * one it was asked for are archived: a second command (`wal-e wal-push %p && rsync %p …`, a wrapper script) would
 * never see those. The answer is yes only with proof, read from Linux's /proc:
 *
 * - a shell stands between us and the archiver, and what it was told is one plain command, this one; or
 * - the archiver itself is our parent, because the shell became us (bash does so, also for the last command of
 *   `a && b`), and archive_command, as the server's configuration files have it, is one plain command, this one.
 */
import { readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isServerProgram, parentOf } from './process-tree.ts';
import { runningSetting } from './server-configuration.ts';
import { plainWords } from './simple-command.ts';

export interface SelfInvocation {
  /** Base name of the file that PostgreSQL asked for. */
  readonly name: string;
  /** PATH. */
  readonly searchPath: string | undefined;
}

const ARCHIVER = /^postgres: (?:.*: )?archiver(?: |$)/;
const SHELL = /^(?:ba|da|a|k|mk|z)?sh$/;

/** undefined: proven. Else why not. */
export function otherArchiveWork(self: SelfInvocation): string | undefined {
  try {
    const commandLine = archiveCommandLine(self.name);
    if (commandLine === undefined) return "the archiver's command line is not known for certain";
    const words = plainWords(commandLine);
    if (words === undefined) return 'archive_command is more than one plain command';
    return isSelf(withoutPrefixes(words), self) ? undefined : 'archive_command starts another program';
  } catch {
    return '/proc does not tell who started this process';
  }
}

/** What the shell was told, with the names of the segment filled in. */
function archiveCommandLine(name: string): string | undefined {
  const parent = process.ppid;
  if (isArchiver(parent)) return configuredCommandLine(parent, name);
  const words = commandLineOf(parent);
  if (!SHELL.test(basename(words[0] ?? '')) || words[1] !== '-c') return undefined;
  const rest = words[2] === '--' ? words.slice(3) : words.slice(2);
  return rest.length === 1 && isArchiver(parentOf(parent)) ? rest[0] : undefined;
}

function configuredCommandLine(archiver: number, name: string): string | undefined {
  const dataDirectory = readlinkSync(`/proc/${archiver}/cwd`);
  const postmaster = parentOf(archiver);
  const pgdata = environmentOf(postmaster)
    .find((line) => line.startsWith('PGDATA='))
    ?.slice('PGDATA='.length);
  const server = { dataDirectory, commandLine: commandLineOf(postmaster), pgdata };
  const command = runningSetting('archive_command', server);
  const walFolder = statSync(join(dataDirectory, 'pg_wal'), { throwIfNoEntry: false }) ? 'pg_wal' : 'pg_xlog';
  const values: Record<string, string> = { '%p': `${walFolder}/${name}`, '%f': name, '%%': '%' };
  return command?.replace(/%[pf%]/g, (placeholder) => values[placeholder] ?? placeholder);
}

function isArchiver(pid: number): boolean {
  const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0', 1)[0] ?? '';
  return ARCHIVER.test(title) && isServerProgram(pid);
}

/** `exec` changes who is whose parent and nothing else; `envdir DIR` becomes the program in its turn. */
function withoutPrefixes(words: readonly string[]): readonly string[] {
  const command = words[0] === 'exec' ? words.slice(1) : words;
  return basename(command[0] ?? '') === 'envdir' ? command.slice(2) : command;
}

/** `words`, run by a shell, are this very process: our script (or Node and our script), then our arguments. */
function isSelf(words: readonly string[], { searchPath }: SelfInvocation): boolean {
  const [node = '', script = '', ...ownArguments] = commandLineOf('self');
  const program = realpathSync(find(words[0] ?? '', searchPath));
  const given = program === realpathSync(`/proc/self/exe`) ? words.slice(1) : words;
  const scriptPath = given === words ? program : realpathSync(given[0] ?? '');
  const rest = given.slice(1);
  return (
    node !== '' &&
    scriptPath === realpathSync(script) &&
    rest.length === ownArguments.length &&
    rest.every((word, index) => word === ownArguments[index])
  );
}

function find(program: string, searchPath: string | undefined): string {
  if (program.includes('/')) return program;
  const folders = (searchPath ?? '').split(':').filter(Boolean);
  const found = folders.map((folder) => join(folder, program)).find(isExecutableFile);
  if (found === undefined) throw new Error(`${program} is not in PATH`);
  return found;
}

function isExecutableFile(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && (stat.mode & 0o111) !== 0;
}

function commandLineOf(pid: number | 'self'): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '').split('\0');
}

function environmentOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
}
