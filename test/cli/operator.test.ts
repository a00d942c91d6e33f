import { describe, expect, it } from 'vitest';
import { type Commands, command } from '../../src/cli/command.ts';
import { globalOptions } from '../../src/cli/global-options.ts';
import { readWords } from '../../src/cli/grammar.ts';
import { operatorValues } from '../../src/cli/operator.ts';
import {
  flag,
  integer,
  onOff,
  optional,
  required,
  requiredInteger,
  text,
  texts,
} from '../../src/cli/option.ts';
import { commandValues } from '../../src/cli/values.ts';
import { UsageError } from '../../src/errors.ts';

const load = async () => ({ run: async () => 0 });
const options = {
  poolSize: integer('N', '', { default: 4, minimum: 1, short: 'p' }),
  limit: integer('N', '', { default: undefined }),
  check: onOff(''),
  spec: text('FILE', ''),
  tablespace: texts('OID=DIR', ''),
  detail: flag('', 'd'),
};
const commands: Commands = {
  one: command({ summary: '', positionals: { name: required('NAME', '') }, options, load }),
  many: command({
    summary: '',
    positionals: { count: requiredInteger('N', ''), query: optional('QUERY', '') },
    options,
    load,
  }),
};
const table = { commands, globals: globalOptions };

async function outcome(parse: () => unknown): Promise<unknown> {
  try {
    return await parse();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

describe("the operator's verbs are parsed by yargs, to the same values as the quick parse", () => {
  it.each([
    'one a',
    'one -p3 a',
    'one --pool-size=3 --pool-size 7 a',
    'one a --det --no-check --check',
    'one a --check --no-check',
    'one --tablespace 1=/x --tablespace=2=/y a --spec a.b.c --limit -3',
    'one --spec= a',
    'one 007',
    'one -- --detail',
    'one -5',
    'one true',
    'many 12',
    'many -1 q',
    'many 1 -- -q',
    'many 0x10',
    'many 1.5',
    'many 1 2 3',
    'many',
    'one',
    'one -p 0 a',
    'one -p 1e3 a',
    'one --limit 99999999999999999999 a',
  ])('%s', async (line) => {
    const words = readWords(line.split(' '), commands, globalOptions);
    const { command: verb } = words;
    if (verb === undefined) throw new Error(`no verb in ${line}`);
    const quick = await outcome(() => commandValues(verb, words));
    expect(await outcome(() => operatorValues(words, table))).toEqual(quick);
  });
});
