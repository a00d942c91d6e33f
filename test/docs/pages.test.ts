/** What the pages say of options, variables, messages and one another must be so. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { shellTokens } from '../../src/check/shell-words.ts';
import { commands } from '../../src/cli/commands.ts';
import { globalOptions } from '../../src/cli/global-options.ts';
import { readWords } from '../../src/cli/grammar.ts';
import { longName, type Options } from '../../src/cli/option.ts';
import { commandValues } from '../../src/cli/values.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(join(root, name), 'utf8');
const under = (folder: string, extension: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(folder, name));

const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...under('docs', '.md')];
const sources = under('src', '.ts').map(read).join('\n');
/** Variables of the project's own scripts are named on the pages too. */
const everything =
  [...under('bench', '.ts'), ...under('test', '.ts'), ...under('scripts', '.mjs')].map(read).join('\n') +
  sources;

describe.each(pages)('%s', (page) => {
  const text = read(page);

  test('links lead somewhere', () => {
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
      if (/^https?:/.test(target)) return [];
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? page : join(dirname(page), file);
      if (!existsSync(join(root, path))) return [target];
      return anchor === undefined || anchors(read(path)).has(anchor) ? [] : [target];
    });
    expect(broken).toEqual([]);
  });

  test('command lines outside of console blocks are such as the program takes', () => {
    const wrong = fencedLines(text).flatMap((line) => problems(line));
    expect(wrong).toEqual([]);
  });

  test('variables of wal-e that it names exist', () => {
    const named = new Set([...text.matchAll(/\bWALE_[A-Z0-9_]+\b/g)].map(([name]) => name));
    expect([...named].filter((name) => !everything.includes(name) && !name.endsWith('_'))).toEqual([]);
  });
});

test('every variable of wal-e is in the reference', () => {
  const named = new Set([...sources.matchAll(/\bWALE_[A-Z0-9_]*[A-Z0-9]\b/g)].map(([name]) => name));
  // Set by bin/wal-e.cjs for itself, and by the build.
  const internal = ['WALE_HANGUP_IGNORED', 'WALE_SIGNALS_IGNORED', 'WALE_IGNORED_SIGNALS'];
  const reference = read('docs/configuration.md');
  expect([...named].filter((name) => !reference.includes(name) && !internal.includes(name))).toEqual([]);
});

/** What there is to say of these is on the pages of others. */
const WITHOUT_PAGE = ['completion', 'version', 'wal-prefetch'];

describe.each(Object.entries(commands))('wal-e %s', (name, command) => {
  const page = `docs/${name}.md`;

  test.skipIf(WITHOUT_PAGE.includes(name))('has every option on its page', () => {
    const inner: Options[] =
      command.kind === 'group' ? Object.values(command.commands).map(({ options }) => options) : [];
    const text = read(page).replaceAll('--[no-]', '--');
    const missing = [command.options, ...inner].flatMap((options) =>
      Object.keys(options)
        .map((key) => `--${longName(key)}`)
        .filter((option) => !text.includes(option)),
    );
    expect([...new Set(missing)]).toEqual([]);
  });

  test('is in the manual', () => {
    expect(read('docs/man/wal-e.1')).toContain(name);
  });
});

test('the manual has every variable of the reference, and every global option', () => {
  const manual = read('docs/man/wal-e.1');
  const variables = [...read('docs/configuration.md').matchAll(/^\| `(\w+)`/gm)].map(([, name = '']) => name);
  expect(variables.length).toBeGreaterThan(35);
  expect(variables.filter((name) => !manual.includes(name))).toEqual([]);
  // Accepted because WAL-E had them, and without a meaning.
  const old = ['gsAccessKeyId', 'wabsAccountName', 'gsPrefix', 'wabsPrefix'];
  const options = Object.keys(globalOptions).filter((key) => !old.includes(key));
  expect(options.filter((key) => !manual.includes(`-${longName(key)}`))).toEqual([]);
});

/** Command lines that no suite runs as they stand, each with what shows it instead. */
const SHOWN_ELSEWHERE: readonly (readonly [line: RegExp, by: string])[] = [
  [/^npm ci && npm run demo$/, 'test/system/demo.test.ts'],
  [/^npm (ci|test|run [\w:]+)\b/, 'package.json'],
  [/^npm ci && npm (pack|test)$/, 'test/system/package.test.ts'],
  [/^npm install --global /, 'test/system/package.test.ts'],
  [/^wal-e --envdir \S+ wal-push %p$/, 'test/system/docs.test.ts'],
  // Values of a bucket that nobody else has, and a layout that only Debian's packages make.
  [/^echo '[^']+' +> \/etc\/wal-e.d\/env\/(WALE_S3_PREFIX|AWS_\w+)$/, 'test/system/s3-commands.test.ts'],
  [/^\/usr\/lib\/postgresql\/16\/bin\/pg_ctl /, 'docs/quick-start.md'],
];

test.each(pages)('%s: every command line is run, or known to be shown elsewhere', (page) => {
  const text = read(page);
  const indented = [...text.matchAll(/^ {4}(\S.*)$/gm)].map(([, line = '']) => line);
  const commandLines = [...fencedLines(text), ...indented].filter(
    (line) =>
      /^(wal-e|npm|npx|echo|psql|pg_ctl|source|gpg|sudo|\/usr\/\S+) /.test(line) && !/\[|\{/.test(line),
  );
  const unknown = commandLines.filter((line) => !SHOWN_ELSEWHERE.some(([known]) => known.test(line)));
  expect(unknown).toEqual([]);
});

test('what shows those command lines exists', () => {
  for (const [, by] of SHOWN_ELSEWHERE) expect(existsSync(join(root, by)), by).toBe(true);
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'));
  const named = pages.flatMap((page) =>
    [...read(page).matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name),
  );
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

test("the manual's examples are such as the program takes", () => {
  const examples = /^\.Sh EXAMPLES$(.*?)^\.Sh/ms.exec(read('docs/man/wal-e.1'))?.[1] ?? '';
  const lines = examples
    .replaceAll('\\e\n', '')
    .split('\n')
    .filter((line) => line.includes('wal-e '));
  expect(lines).toHaveLength(4);
  const unquoted = lines.map((line) => line.replace(/'2026[^']*'/, '2026-11-21T14:31:00Z'));
  expect(unquoted.flatMap((line) => problems(line))).toEqual([]);
});

test('every command that an operator types has a page', () => {
  const without = Object.keys(commands).filter((name) => !existsSync(join(root, `docs/${name}.md`)));
  expect(without.sort()).toEqual(WITHOUT_PAGE);
});

test("messages in the troubleshooting tables are the program's", () => {
  const rows = read('docs/troubleshooting.md')
    .split('\n')
    .filter((line) => /^\| `/.test(line));
  const cells = rows.map((line) => line.split(' | ')[0] ?? '');
  const messages = cells.flatMap((cell) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, message = '']) => message),
  );
  const own = messages.filter((message) => /^[a-z].* |^AWS|^Symlinks/.test(message));
  const absent = own.flatMap((message) => message.split('…')).map((part) => part.trim().replace(/^or /, ''));
  expect(own.length).toBeGreaterThan(25);
  expect(absent.filter((part) => part.length > 8 && !isSaid(part))).toEqual([]);
});

test.each(under('docs/systemd', '.service'))('%s starts commands that exist', (unit) => {
  const lines = [...read(unit).matchAll(/^ExecStart=\S*\/(wal-e .*)$/gm)].map(([, line = '']) => line);
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.flatMap((line) => problems(line))).toEqual([]);
});

test('every timer has its service', () => {
  for (const timer of under('docs/systemd', '.timer')) {
    expect(existsSync(join(root, timer.replace(/timer$/, 'service'))), timer).toBe(true);
  }
});

function anchors(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Lines of fenced blocks that are not run by the docs suite. */
function fencedLines(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)];
  return blocks.flatMap(([, info = '', body = '']) => (info.startsWith('console') ? [] : body.split('\n')));
}

/** What is wrong with the wal-e command in a line, if there is one. */
function problems(line: string): string[] {
  const command = /(?:^|[\s'"/])(wal-e (?:--?\w|\w)[^'"#|]*)/.exec(line)?.[1];
  const words = command === undefined ? undefined : shellTokens(command);
  if (words === undefined || /[[\]…<>]|\.tgz/.test(command ?? '')) return [];
  try {
    const argv = words
      .filter(({ operator }) => !operator)
      .map(({ text }) => text)
      .slice(1);
    const parsed = readWords(argv, commands, globalOptions);
    if (parsed.command === undefined) return [`${line}: no such command`];
    commandValues(parsed.command, parsed);
    return [];
  } catch (error) {
    return [`${line}: ${(error as Error).message}`];
  }
}

/** Messages are literals, or templates whose variable parts the page leaves out. */
function isSaid(part: string): boolean {
  return (
    sources.includes(part) ||
    part.split(/"[^"]*"|\b(?:gs|SIGTERM)\b/).every((piece) => sources.includes(piece.trim()))
  );
}
