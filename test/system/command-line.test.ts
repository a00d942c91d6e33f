import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { poll } from '../harness/poll.ts';
import { logEntries, PROGRAM, type ProgramOptions, runProgram } from '../harness/program.ts';
import { createScratch } from '../harness/scratch.ts';

let scratch: string;
beforeAll(() => {
  scratch = createScratch();
});

const archive = () => ({ WALE_FILE_PREFIX: `file://localhost${join(scratch, 'archive')}` });

async function wale(line: string, options: ProgramOptions = {}) {
  return runProgram(line === '' ? [] : line.split(' '), options);
}

describe('wal-e version', () => {
  it.each(['version', '--version', '--s3-prefix s3://b/x --terse version', 'version --terse'])(
    '%s prints the number and needs no configuration',
    async (line) => {
      const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
      expect(await wale(line)).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
    },
  );
});

describe('a verb that is missing or does not exist', () => {
  it('is second to a missing prefix, as in the original', async () => {
    const { status, stdout, stderr } = await wale('');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(logEntries(stderr)).toMatchObject([{ level: 'ERROR', message: 'no storage prefix defined' }]);
  });

  it.each([
    ['', 'The submitted subcommand was None.', 'Check for typos or consult wal-e --help.'],
    [
      'wal-psuh x',
      'The submitted subcommand was "wal-psuh".',
      'Check for typos or consult wal-e --help. Did you mean wal-push?',
    ],
    ['nothing-like-it -x --y', 'The submitted subcommand was "nothing-like-it".', expect.any(String)],
  ])('"wal-e %s" exits with 127, which stops a recovery instead of ending it', async (line, detail, hint) => {
    const { status, stdout, stderr } = await wale(line, { environment: archive() });
    expect({ status, stdout }).toEqual({ status: 127, stdout: '' });
    expect(logEntries(stderr)).toMatchObject([{ message: 'subcommand not implemented', detail, hint }]);
  });
});

describe('usage errors are one line, say what to do, and exit with 2', () => {
  it.each([
    ['wal-push', 'the following arguments are required: WAL_SEGMENT (see wal-e wal-push --help)'],
    ['wal-push a b', 'unrecognized arguments: b (see wal-e wal-push --help)'],
    ['wal-push -p', 'argument -p/--pool-size: expected one argument (see wal-e wal-push --help)'],
    ['wal-push -p many a', "argument -p/--pool-size: invalid int value: 'many' (see wal-e wal-push --help)"],
    ['wal-push --nope a', 'unrecognized arguments: --nope (see wal-e wal-push --help)'],
    [
      '--wabs x wal-push a',
      'ambiguous option: --wabs could match --wabs-account-name, --wabs-prefix (see wal-e --help)',
    ],
    [
      '-k ID --aws-instance-profile wal-push a',
      'argument --aws-instance-profile: not allowed with argument -k/--aws-access-key-id (see wal-e wal-push --help)',
    ],
    ['version now', 'unrecognized arguments: now (see wal-e version --help)'],
  ])('wal-e %s', async (line, message) => {
    expect(await wale(line, { environment: archive() })).toEqual({
      status: 2,
      stdout: '',
      stderr: `wal-e: error: ${message}\n`,
    });
  });
});

describe('--envdir', () => {
  it('gives the variables, over those that are there, and empty files remove them', async () => {
    const directory = join(scratch, 'env');
    mkdirSync(directory);
    writeFileSync(
      join(directory, 'WALE_FILE_PREFIX'),
      `file://localhost${scratch}/from-envdir \nsecond line`,
    );
    writeFileSync(join(directory, 'WALE_GPG_KEY_ID'), '');
    const file = join(scratch, '0000000A.history');
    writeFileSync(file, '1\t0/5000000\tno reason\n');
    const environment = { ...archive(), WALE_GPG_KEY_ID: 'nobody' };
    const { status } = await wale(`--envdir ${directory} wal-push ${file}`, { environment });
    expect(status).toBe(0);
    expect(existsSync(join(scratch, 'from-envdir/wal_005/0000000A.history.lzo'))).toBe(true);
  });

  it('that cannot be read is an error that names it', async () => {
    const { status, stderr } = await wale(`--envdir ${scratch}/absent wal-push x`);
    expect(status).toBe(1);
    expect(logEntries(stderr)).toMatchObject([
      { message: 'could not read the envdir', detail: expect.stringContaining(`${scratch}/absent`) },
    ]);
  });
});

describe("the operator's commands", () => {
  it.each([
    ['backup-list', 'backup-list'],
    ['delete -n everything', 'delete everything'],
  ])('begin with the banner of the original: %s', async (line, name) => {
    const environment = { WALE_FILE_PREFIX: `file://localhost${scratch}/nothing` };
    const { stderr } = await wale(line, { environment });
    expect(logEntries(stderr)[0]).toMatchObject({
      logger: 'wal_e.main',
      level: 'INFO',
      message: 'starting WAL-E',
      detail: `The subcommand is "${name}".`,
    });
    expect((await wale(`--terse ${line}`, { environment })).stderr).not.toContain('starting');
  });
});

it('what all verbs of delete have stands before the verb, as in the manual, or after it', async () => {
  const environment = { WALE_FILE_PREFIX: `file://localhost${scratch}/nothing` };
  for (const words of ['--orphans-older-than 0 everything', 'everything --orphans-older-than 0']) {
    const { status, stderr } = await wale(`--terse delete ${words}`, { environment });
    expect(status, stderr).toBe(0);
  }
});

describe('an empty WALE_GPG_KEY_ID', () => {
  it('means no encryption, and says so', async () => {
    const file = join(scratch, '0000000E.history');
    writeFileSync(file, '1\t0/5000000\tno reason\n');
    const environment = { ...archive(), WALE_GPG_KEY_ID: '' };
    const { status, stderr } = await wale(`--terse wal-push ${file}`, { environment });
    expect(status).toBe(0);
    expect(logEntries(stderr)).toMatchObject([
      { level: 'WARNING', message: 'WALE_GPG_KEY_ID is set but empty: what is stored is not encrypted' },
    ]);
  });
});

describe('the log', () => {
  const failing = 'wal-push /nowhere/000000010000000000000001';

  it('has the form of the original', async () => {
    const file = join(scratch, '0000000D.history');
    writeFileSync(file, '1\t0/5000000\tno reason\n');
    const { stdout, stderr } = await wale(`--file-prefix ftp://x wal-push ${file}`);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /^wal_e\.main {3}ERROR {4}MSG: bad S3, .* passed\n {8}DETAIL: The scheme ftp .*\n {8}STRUCTURED: time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}-00 pid=\d+\n$/,
    );
  });

  it('is one JSON object a line with WALE_LOG_FORMAT=json, usage errors too', async () => {
    const environment = { ...archive(), WALE_LOG_FORMAT: 'json' };
    for (const line of [failing, 'wal-push -p x y']) {
      const { stderr } = await wale(line, { environment });
      const records = stderr
        .trimEnd()
        .split('\n')
        .map((text) => JSON.parse(text));
      expect(records.at(-1)).toMatchObject({
        level: 'ERROR',
        pid: expect.any(Number),
        message: expect.any(String),
      });
    }
  });

  it('with --terse keeps to warnings and errors', async () => {
    const file = join(scratch, '0000000B.history');
    writeFileSync(file, '1\t0/5000000\tno reason\n');
    const full = await wale(`wal-push ${file}`, { environment: archive() });
    expect(logEntries(full.stderr)).toMatchObject([{ level: 'INFO' }, { level: 'INFO' }]);
    const terse = await wale(`--terse wal-push ${file}`, { environment: archive() });
    expect(terse).toEqual({ status: 0, stdout: '', stderr: '' });
    const failed = await wale(`--terse ${failing}`, { environment: archive() });
    expect(logEntries(failed.stderr)).toMatchObject([{ level: 'ERROR' }]);
  });

  it('stays away from standard error when it is to go to syslog alone', async () => {
    const environment = { ...archive(), WALE_LOG_DESTINATION: 'syslog' };
    expect(await wale(failing, { environment })).toEqual({ status: 1, stdout: '', stderr: '' });
  });

  it('says that a facility does not exist, in the words of the original, and works', async () => {
    const environment = { ...archive(), WALE_SYSLOG_FACILITY: 'nope', WALE_LOG_DESTINATION: 'syslog' };
    const { stderr } = await wale(failing, { environment });
    expect(stderr).toBe('invalid syslog facility level specified\n');
  });

  it('never shows a secret', async () => {
    const environment = { AWS_SECRET_ACCESS_KEY: 'SeCrEtKeY', PGPASSWORD: 'pa55word', ...archive() };
    const { stderr } = await wale('wal-push /SeCrEtKeY/pa55word/https://me:pw@host/x', { environment });
    expect(stderr).toContain('***');
    expect(stderr).not.toMatch(/SeCrEtKeY|pa55word|me:pw/);
    const usage = await wale('wal-push -p SeCrEtKeY x', { environment });
    expect(usage.stderr).toBe(
      "wal-e: error: argument -p/--pool-size: invalid int value: '***' (see wal-e wal-push --help)\n",
    );
  });
});

describe('standard output', () => {
  it('that nobody reads any more ends the program quietly', () => {
    const script = 'set -o pipefail; "$0" --help | true';
    const { status, stderr } = spawnSync('bash', ['-c', script, PROGRAM], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 141, stderr: '' });
  });

  it.skipIf(!existsSync('/dev/full'))('that cannot be written is an error', () => {
    const { status, stderr } = spawnSync('bash', ['-c', '"$0" version >/dev/full', PROGRAM], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toContain('MSG: could not write to standard output');
  });
});

/** wal-push that waits for a gpg which never answers, started by `wrapper`. */
async function startWaiting(
  wrapper: string,
): Promise<{ pid: number; ended: Promise<number | null>; log(): string }> {
  const bin = join(scratch, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'gpg'), `#!/bin/sh\necho $$ > ${bin}/gpg.pid\nexec sleep 100\n`);
  chmodSync(join(bin, 'gpg'), 0o755);
  writeFileSync(join(bin, 'gpg.pid'), '');
  const file = join(scratch, '0000000C.history');
  writeFileSync(file, '1\t0/5000000\tno reason\n');
  const child = spawn('bash', ['-c', `${wrapper} "$0" wal-push ${file}`, PROGRAM], {
    env: {
      PATH: `${bin}:${process.env.PATH}`,
      WALE_LOG_DESTINATION: 'stderr',
      WALE_GPG_KEY_ID: 'x',
      ...archive(),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (status) => resolve(status)));
  await poll('gpg to be started', () => readFileSync(join(bin, 'gpg.pid'), 'utf8').endsWith('\n'));
  return { pid: child.pid ?? 0, ended, log: () => log };
}

describe('signals', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s ends the command, which says so', async (signal) => {
    const waiting = await startWaiting('exec');
    process.kill(waiting.pid, signal);
    expect(await waiting.ended).toBe(1);
    expect(logEntries(waiting.log()).at(-1)).toMatchObject({ message: `interrupted by ${signal}` });
  });

  it.each(['exec nohup', "trap '' HUP; exec"])(
    'a hangup is ignored when it was at the start: %s',
    async (wrapper) => {
      const waiting = await startWaiting(wrapper);
      process.kill(waiting.pid, 'SIGHUP');
      process.kill(waiting.pid, 'SIGTERM');
      expect(await waiting.ended).toBe(1);
      expect(logEntries(waiting.log()).at(-1)).toMatchObject({ message: 'interrupted by SIGTERM' });
    },
  );
});
