/**
 * A database host as the pages describe one: a PostgreSQL server under /var/lib/postgresql, an envdir in
 * /etc/wal-e.d/env, `wal-e`, `psql` and `pg_ctl` in the PATH; all of it below one temporary folder, and everything
 * run as the server's user. Paths in commands and in their output are mapped to and from that folder.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { serverAccount } from './account.ts';
import { addOriginal } from './original-host.ts';
import { pristineDirectory } from './postgres.ts';
import { addSchedulers } from './schedulers.ts';
import { createScratch, stopAtExit } from './scratch.ts';
import { nodeFolder, stagePostgres, stageProgram } from './staging.ts';

export interface HostOptions {
  /** Major version of the server; none is made when left out. */
  readonly postgres?: number | undefined;
  readonly segmentMb?: number | undefined;
  /** The server is not made: `prepare-original` brings one that WAL-E archived until now (original-host.ts). */
  readonly original?: boolean | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

export interface Outcome {
  readonly status: number;
  /** Standard output and standard error, as on a terminal. */
  readonly output: string;
}

export interface Host {
  readonly folder: string;
  /** Runs one command line in the host's shell, which lives as long as the host: variables and the folder stay. */
  run(commandLine: string): Promise<Outcome>;
  /** Absolute path of a path as the pages write it. */
  path(documented: string): string;
  dispose(): Promise<void>;
}

const MAPPED =
  /(?<=file:\/\/localhost|^|[^\w./-])\/(etc\/(?:wal-e\.d|systemd|cron\.d|postgresql)|opt\/wal-e-1|usr\/local\/bin|srv|var\/lib\/postgresql|var\/log|run\/wal-e)(?![\w-])/g;
/** Longest that one command line may take. */
const LIMIT_MS = 240_000;
const END = '@@wal-e-host-end@@';
const docs = fileURLToPath(new URL('../../docs', import.meta.url));

export async function createHost(options: HostOptions = {}): Promise<Host> {
  const folder = createScratch(serverAccount());
  const host = new ShellHost(folder, options);
  if (options.postgres !== undefined && options.original !== true)
    await host.createServer(options.postgres, options.segmentMb);
  return host;
}

class ShellHost implements Host {
  readonly folder: string;
  readonly #shell: ChildProcessWithoutNullStreams;
  readonly #version: number | undefined;
  #pending = '';
  #wake: () => void = () => {};

  constructor(folder: string, { postgres, original, environment }: HostOptions) {
    this.folder = folder;
    this.#version = postgres;
    for (const path of [
      'bin',
      'etc/wal-e.d/env',
      'etc/systemd/system',
      'etc/cron.d',
      'srv',
      'var/log/postgresql',
      'run/wal-e',
      'home',
    ])
      mkdirSync(join(folder, path), { recursive: true });
    if (postgres !== undefined) {
      mkdirSync(join(folder, `var/lib/postgresql/${postgres}`), { recursive: true });
      for (const name of ['main', 'restored', 'standby'])
        stopAtExit(join(folder, `var/lib/postgresql/${postgres}/${name}`));
    }
    this.#addPrograms();
    if (original === true) addOriginal(folder);
    giveAll(folder);
    this.#shell = this.#startShell(environment ?? {});
  }

  path(documented: string): string {
    return documented.replace(MAPPED, (match) => `${this.folder}${match}`);
  }

  async run(commandLine: string): Promise<Outcome> {
    this.#pending = '';
    this.#shell.stdin.write(`{\n${this.path(commandLine)}\n} </dev/null 2>&1\nprintf '${END}%s\\n' $?\n`);
    const ended = () => new RegExp(`${END}(\\d+)\\n`).exec(this.#pending);
    const limit = setTimeout(() => this.#shell.kill('SIGKILL'), LIMIT_MS);
    while (ended() === null && this.#shell.exitCode === null && this.#shell.signalCode === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(limit);
    const end = ended();
    const output = this.#pending.slice(0, end?.index).replaceAll(this.folder, '');
    if (end === null)
      throw new Error(`the shell ended, or took more than ${LIMIT_MS / 1000} s: ${commandLine}\n${output}`);
    return { status: Number(end[1]), output };
  }

  async createServer(version: number, segmentMb = 16): Promise<void> {
    const data = `/var/lib/postgresql/${version}/main`;
    const pristine = await pristineDirectory(version, segmentMb === 16 ? undefined : segmentMb);
    await this.#must(`cp -a ${pristine} ${data}`);
    const settings = { ...SETTINGS, unix_socket_directories: join(this.folder, 'run') };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    appendFileSync(join(this.path(data), 'postgresql.conf'), lines.join(''));
    await this.#must(`pg_ctl -D ${data} -l /var/log/postgresql/server.log -w start >/dev/null`);
  }

  async dispose(): Promise<void> {
    const alive = this.#shell.exitCode === null && this.#shell.signalCode === null;
    if (this.#version !== undefined && alive) {
      const servers = this.path(`/var/lib/postgresql/${this.#version}`);
      await this.run(`for d in ${servers}/*/; do pg_ctl -D "$d" -m immediate stop; done`);
    }
    this.#shell.stdin.end();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #must(commandLine: string): Promise<void> {
    const { status, output } = await this.run(commandLine);
    if (status !== 0) throw new Error(`${commandLine}\n${output}`);
  }

  #addPrograms(): void {
    const bin = join(this.folder, 'bin');
    symlinkSync(stageProgram(), join(bin, 'wal-e'));
    cpSync(docs, join(this.folder, 'home/docs'), { recursive: true });
    buildSync({
      entryPoints: [fileURLToPath(new URL('psql-shim.ts', import.meta.url))],
      outfile: join(bin, 'psql.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['pg-native'],
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
      logLevel: 'error',
    });
    addScript(bin, 'psql', `exec node ${bin}/psql.mjs "$@"`);
    addScript(bin, 'envdir', ENVDIR);
    addScript(bin, 'install', INSTALL);
    addSchedulers(this.folder);
    addScript(bin, 'prepare-archive', prepareArchive(this.folder));
    addScript(bin, 'wait-archived', waitArchived(this.folder));
    addScript(
      bin,
      'systemctl',
      `for unit in "$@"; do case $unit in *.timer|*.service) [ -e "${this.folder}/etc/systemd/system/$unit" ] || exit 1;; esac; done`,
    );
  }

  #startShell(environment: Readonly<Record<string, string>>): ChildProcessWithoutNullStreams {
    const { uid, gid } = serverAccount();
    const server = this.#version === undefined ? [] : [join(stagePostgres(this.#version), 'bin')];
    const path = [join(this.folder, 'bin'), ...server, nodeFolder(), '/usr/local/bin:/usr/bin:/bin'];
    const shell = spawn('bash', ['--noprofile', '--norc'], {
      ...(process.getuid?.() === 0 ? { uid, gid } : {}),
      cwd: join(this.folder, 'home'),
      env: {
        PATH: path.join(':'),
        HOME: join(this.folder, 'home'),
        LC_ALL: 'C',
        TZ: 'UTC',
        PGHOST: join(this.folder, 'run'),
        PGUSER: 'postgres',
        PGDATABASE: 'postgres',
        ...environment,
      },
      stdio: 'pipe',
    });
    shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#pending += text;
      this.#wake();
    });
    shell.stderr.resume();
    shell.on('exit', () => this.#wake());
    return shell;
  }
}

/** Of every server on such a host, beside its socket. */
const SETTINGS = {
  listen_addresses: '',
  fsync: 'off',
  max_connections: '20',
  shared_buffers: '16MB',
  log_timezone: 'UTC',
  timezone: 'UTC',
};

/** As daemontools has it: a file is a variable, an empty one removes it. */
const ENVDIR = `d=$1; shift
for f in "$d"/*; do
  if [ -s "$f" ]; then IFS= read -r v < "$f"; export "$(basename "$f")=$v"; else unset "$(basename "$f")"; fi
done
exec "$@"`;

/** The pages do it as root, for the server's user; here that user does it for himself. */
const INSTALL = `case $1 in -d) exec /usr/bin/install $(printf '%s ' "$@" | sed 's/-[og] postgres//g') ;; esac
exit 1`;

/** What quick-start.md sets up, for the pages that begin where it ended: archiving, and a first base backup. */
function prepareArchive(folder: string): string {
  return `set -e
mkdir -p ${folder}/srv/archive
echo file://localhost${folder}/srv/archive > ${folder}/etc/wal-e.d/env/WALE_FILE_PREFIX
data=$(echo ${folder}/var/lib/postgresql/*/main)
cat >> $data/postgresql.conf <<END
wal_level = replica
archive_mode = on
archive_command = 'envdir ${folder}/etc/wal-e.d/env wal-e wal-push %p'
END
pg_ctl -D $data -l ${folder}/var/log/postgresql/server.log -w restart >/dev/null
psql -qc 'CREATE TABLE orders (id int PRIMARY KEY, note text)' -c "INSERT INTO orders SELECT n, 'before' FROM generate_series(1, 1000) n" >/dev/null
wal-e --envdir ${folder}/etc/wal-e.d/env --terse backup-push --fast-checkpoint $data`;
}

/** Everything written until now is in the archive when it ends. */
function waitArchived(folder: string): string {
  return `psql -qAtc 'SELECT pg_switch_wal()' >/dev/null
status=$(echo ${folder}/var/lib/postgresql/*/main/pg_wal/archive_status)
while ls $status | grep -q ready; do sleep 0.1; done
until psql -qAtc 'SELECT last_archived_wal IS NOT NULL FROM pg_stat_archiver' | grep -q t; do sleep 0.1; done`;
}

function addScript(folder: string, name: string, body: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, name), 0o755);
}

function giveAll(folder: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = serverAccount();
  execFileSync('chown', ['-RPh', `${uid}:${gid}`, folder]);
}
