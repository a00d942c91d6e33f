import { describe, expect, it } from 'vitest';
import { type Commands, command } from '../../src/cli/command.ts';
import { globalOptions } from '../../src/cli/global-options.ts';
import { readWords } from '../../src/cli/grammar.ts';
import { flag, integer, onOff, required, requiredInteger, text, texts } from '../../src/cli/option.ts';
import { commandValues } from '../../src/cli/values.ts';
import { UsageError } from '../../src/errors.ts';

const load = async () => ({ run: async () => 0 });
const commands: Commands = {
  push: command({
    summary: '',
    positionals: { path: required('WAL_SEGMENT', '') },
    options: {
      poolSize: integer('N', '', { default: 32, short: 'p' }),
      markDone: onOff(''),
      tablespace: texts('OID=DIR', ''),
      targetTime: text('TIME', ''),
      targetLsn: text('LSN', ''),
    },
    load,
  }),
  delete: {
    kind: 'group',
    summary: '',
    options: { dryRun: flag('', 'n'), confirm: flag('') },
    commands: {
      retain: command({ summary: '', positionals: { count: requiredInteger('N', '') }, options: {}, load }),
    },
  },
};

function parse(line: string) {
  const words = readWords(line === '' ? [] : line.split(' '), commands, globalOptions);
  const values = words.command === undefined ? undefined : commandValues(words.command, words);
  const names = (list: typeof words.given) =>
    Object.fromEntries(list.map(({ key, text }) => [key, text ?? true]));
  return { path: words.path, globals: names(words.globals), given: names(words.given), values };
}

function error(line: string): string {
  try {
    parse(line);
  } catch (thrown) {
    if (thrown instanceof UsageError) return `${thrown.message} (${thrown.hint ?? ''})`;
    throw thrown;
  }
  throw new Error(`no usage error: ${line}`);
}

describe('the spelling of options is that of argparse', () => {
  it.each(['-p4', '-p 4', '-p=4', '--pool-size 4', '--pool-size=4', '--pool 4', '--p=4'])(
    '%s sets the pool size',
    (spelling) => {
      expect(parse(`push ${spelling} seg`).values).toMatchObject({ poolSize: 4, path: 'seg' });
    },
  );

  it('an attached value may hold spaces, and more signs of equality', () => {
    const argv = ['--file-prefix=file:///a b/c=d\n', 'push', '--target-time=08:00 -05', 'seg'];
    const { globals, given } = readWords(argv, commands, globalOptions);
    expect([...globals, ...given].map(({ text }) => text)).toEqual(['file:///a b/c=d\n', '08:00 -05']);
    expect(readWords(['push', '-a word'], commands, globalOptions).positionals).toEqual(['-a word']);
  });

  it('the last of several counts, and options may follow arguments', () => {
    expect(parse('push -p4 seg -p 5').values).toMatchObject({ poolSize: 5, path: 'seg' });
  });

  it('a repeatable option collects', () => {
    expect(parse('push --tablespace=1=/a --tablespace 2=/b seg').values).toMatchObject({
      tablespace: ['1=/a', '2=/b'],
    });
  });

  it('a negative number is an argument or a value, never an option', () => {
    expect(parse('delete retain -1').values).toMatchObject({ count: -1 });
    expect(parse('push -p -3 seg').values).toMatchObject({ poolSize: -3 });
  });

  it('what follows -- is an argument', () => {
    expect(parse('push -- -x').values).toMatchObject({ path: '-x' });
  });

  it('a switch is on, off, or not given', () => {
    expect(parse('push --mark-done seg').values).toMatchObject({ markDone: true });
    expect(parse('push --no-mark-done seg').values).toMatchObject({ markDone: false });
    expect(parse('push seg').values).toMatchObject({ markDone: undefined });
  });

  it("a group's options stand before or after its verb", () => {
    expect(parse('delete -n --confirm retain 3').given).toEqual({ dryRun: true, confirm: true });
    expect(parse('delete retain 3 --dry').given).toEqual({ dryRun: true });
  });

  it('global options stand before the verb, and after it too', () => {
    const given = { s3Prefix: 's3://b/p', terse: true };
    expect(parse('--s3-prefix s3://b/p --terse push seg').globals).toEqual(given);
    expect(parse('push seg --s3-prefix=s3://b/p --terse').globals).toEqual(given);
  });
});

describe('usage errors name the word and the help to read', () => {
  it.each([
    [
      '--wabs x push seg',
      'ambiguous option: --wabs could match --wabs-account-name, --wabs-prefix (see wal-e --help)',
    ],
    [
      'push --target x seg',
      'ambiguous option: --target could match --target-time, --target-lsn (see wal-e push --help)',
    ],
    ['push --nope seg', 'unrecognized arguments: --nope (see wal-e push --help)'],
    ['delete -x retain 1', 'unrecognized arguments: -x (see wal-e delete --help)'],
    ['push --pool-size', 'argument -p/--pool-size: expected one argument (see wal-e push --help)'],
    ['push --pool-size --terse', 'argument -p/--pool-size: expected one argument (see wal-e push --help)'],
    ['--terse=yes push', "argument --terse: ignored explicit argument 'yes' (see wal-e --help)"],
    ['push -p x seg', "argument -p/--pool-size: invalid int value: 'x' ()"],
    ['push', 'the following arguments are required: WAL_SEGMENT ()'],
    ['push a b c', 'unrecognized arguments: b c ()'],
  ])('%s', (line, message) => {
    expect(error(line)).toBe(message);
  });

  it('an unknown verb is told by what it is, not by its options', () => {
    expect(parse('pusch --nope -x seg').path).toEqual(['pusch']);
    expect(parse('').path).toEqual([]);
  });
});
