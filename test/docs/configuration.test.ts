/** docs/configuration.md says what the sources do: every variable, every global option, every default. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { globalOptions } from '../../src/cli/global-options.ts';
import { longName } from '../../src/cli/option.ts';
import { fastCheckpoint } from '../../src/settings/backup.ts';
import { libpqSettings } from '../../src/settings/libpq.ts';
import { logSettings } from '../../src/settings/log.ts';
import { readRetrySettings } from '../../src/settings/retry.ts';
import { readS3Settings } from '../../src/settings/s3.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
const rows = [...page.matchAll(/^\| (?:`(\w+)`)? *\| (.*?) *\| (.*?) *\| .+ \|$/gm)].map(
  ([, name, standard, options]) => ({
    name,
    standard,
    options: [...(options ?? '').matchAll(/`(-[^`]+)`/g)].map(([, option]) => option),
  }),
);
const standardOf = (name: string) => rows.find((row) => row.name === name)?.standard;

/** Names of the form, but not variables that the program reads. */
const NO_VARIABLES = [
  'PG_VERSION',
  'PG_CLUSTER_DIRECTORY',
  'PGSQL',
  'PGDATA',
  'WALE_S3_',
  'GS_ACCESS_KEY_ID',
  'WABS_ACCOUNT_NAME',
  'NODE_OPTIONS',
];
/** Explained in the text around the tables. */
const IN_THE_TEXT = [
  'AWS_PROFILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'NODE_EXTRA_CA_CERTS',
  'GNUPGHOME',
  'PGSERVICE',
  'PGREQUIREAUTH',
  'PGCHANNELBINDING',
  'PGGSSENCMODE',
  'PGSSLCRL',
  'PGSSLCRLDIR',
  'PGSSLMINPROTOCOLVERSION',
  'PGTARGETSESSIONATTRS',
  'WALE_IGNORED_SIGNALS',
];

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readFileSync(join(ROOT, 'src', path), 'utf8'))
  .join('\n');
const mentioned = new Set(
  [
    ...sources.matchAll(
      /\b(?:WALE_|AWS_|PG|GS_|WABS_|SWIFT_|NODE_)[A-Z0-9_]{2,}\b|\b(?:HTTPS|NO)_PROXY\b|\bGNUPGHOME\b/g,
    ),
  ].map(([name]) => name),
);

describe('docs/configuration.md', () => {
  it('has a row for every variable that the sources know', () => {
    const known = new Set([...rows.map(({ name }) => name), ...NO_VARIABLES, ...IN_THE_TEXT]);
    expect([...mentioned].filter((name) => !known.has(name))).toEqual([]);
    expect(IN_THE_TEXT.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it('has no variable that the sources do not know', () => {
    const names = rows.flatMap(({ name }) => (name === undefined ? [] : [name]));
    expect(names.length).toBeGreaterThan(35);
    expect(names.filter((name) => !mentioned.has(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });

  it('has every global option', () => {
    const missing = Object.entries(globalOptions)
      .filter(([key]) => key !== 'help' && key !== 'version')
      .flatMap(([key, option]) => [`--${longName(key)}`, ...('short' in option ? [`-${option.short}`] : [])])
      .filter((name) => !new RegExp(`\`${name}[ \`]`).test(page));
    expect(missing).toEqual([]);
  });

  it('names only options that exist', () => {
    const all = Object.values(commands).flatMap((entry) => Object.keys(entry.options));
    const names = new Set(
      [...all, ...Object.keys(globalOptions)].flatMap((key) => [
        `--${longName(key)}`,
        `--no-${longName(key)}`,
      ]),
    );
    const named = rows.flatMap(({ options }) => options).filter((option) => option?.startsWith('--'));
    expect(named.filter((option) => !names.has(option ?? ''))).toEqual([]);
  });

  it('says the defaults that the sources have', () => {
    const s3 = readS3Settings('s3://bucket', {}, {});
    const log = logSettings({});
    const libpq = libpqSettings({ HOME: '/home/x' });
    expect(standardOf('AWS_REGION')).toBe(`\`${s3.region}\``);
    expect(standardOf('WALE_S3_SSE')).toContain(`\`${s3.encryption.kind}\` on AWS`);
    expect(standardOf('WALE_RETRIES')).toBe(`\`${readRetrySettings({}).attempts}\``);
    expect(standardOf('WALE_DEADLINE')).toContain(/WAITED_FOR_SECONDS = (\d+)/.exec(sources)?.[1]);
    expect(readRetrySettings({}).deadlineMs).toBeUndefined();
    expect(standardOf('WALE_LOG_DESTINATION')).toBe('`stderr,syslog`');
    expect(log).toMatchObject({ stderr: true, syslog: true });
    expect(standardOf('WALE_SYSLOG_FACILITY')).toBe(`\`${log.facility}\``);
    expect(standardOf('WALE_LOG_FORMAT')).toBe(`\`${log.format}\``);
    expect(standardOf('WALE_FAST_CHECKPOINT')).toBe(fastCheckpoint({}) ? '`1`' : '`0`');
    expect(standardOf('PGDATABASE')).toBe(`\`${libpq.database}\``);
    expect(standardOf('PGSSLMODE')).toBe(`\`${libpq.ssl.mode}\``);
    expect(standardOf('PGCONNECT_TIMEOUT')).toBe(`\`${libpq.connectTimeoutMs / 1000}\``);
    expect(standardOf('PGSSLROOTCERT')).toBe(`\`${libpq.ssl.rootCertificate.replace('/home/x', '~')}\``);
    expect(libpq.socketDirectories.every((folder) => standardOf('PGHOST')?.includes(`\`${folder}\``))).toBe(
      true,
    );
  });
});
