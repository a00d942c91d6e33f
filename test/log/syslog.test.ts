import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createSyslogSink, syslogLine } from '../../src/log/syslog.ts';
import type { LogRecord } from '../../src/log.ts';
import { poll } from '../harness/poll.ts';
import { createScratch } from '../harness/scratch.ts';

const record: LogRecord = {
  logger: 'wal_e.main',
  level: 'ERROR',
  message: 'it failed',
  detail: 'two\nlines',
  hint: undefined,
  structured: undefined,
  time: new Date('2026-11-21T06:06:15.123Z'),
  pid: 42,
};
const TEXT =
  'wal_e.main   ERROR    MSG: it failed DETAIL: two lines STRUCTURED: time=2026-11-21T06:06:15.123000-00 pid=42';

describe('a record in syslog', () => {
  const options = { facility: 'local3', format: 'text', path: undefined } as const;

  it('[log-9] is one line with its priority: logger sends line by line', () => {
    expect(syslogLine(record, options)).toBe(`<${19 * 8 + 3}>${TEXT}\n`);
    expect(syslogLine({ ...record, level: 'INFO' }, options)).toContain(`<${19 * 8 + 6}>`);
    expect(syslogLine(record, { ...options, format: 'json' })).toMatch(/^<155>\{.*\}\n$/);
  });
});

describe('the syslog sink', () => {
  let directory: string;
  beforeEach(() => {
    directory = createScratch();
  });

  const at = (name: string) => join(directory, name);
  /** A logger of our own in the search path. */
  function install(script: string): void {
    writeFileSync(at('logger'), `#!/bin/sh\n${script}\n`);
    chmodSync(at('logger'), 0o755);
    writeFileSync(at('socket'), '');
  }
  const sink = (path = `${directory}:/usr/bin:/bin`) =>
    createSyslogSink({ facility: 'user', format: 'text', path, socket: at('socket') });

  const appears = (name: string, text: string): Promise<string> =>
    poll(`${text} in ${name}`, () => {
      const found = existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '';
      return found.includes(text) && found;
    });

  it('gives every record to one logger, which outlives the program', async () => {
    install(`echo "started $*" >> ${at('starts')}; cat > ${at('out')}; echo end >> ${at('starts')}`);
    const to = sink();
    to.write(record);
    to.write({ ...record, level: 'INFO', message: 'second' });
    await to.close();
    expect(await appears('starts', 'end')).toBe('started --prio-prefix --tag wal-e --id=42\nend\n');
    expect(readFileSync(at('out'), 'utf8')).toBe(
      `<11>${TEXT}\n<14>${TEXT.replace('ERROR', 'INFO ').replace('it failed', 'second')}\n`,
    );
  });

  it.skipIf(!existsSync('/usr/bin/logger'))('speaks the language of util-linux', async () => {
    install(`exec /usr/bin/logger --no-act --stderr --socket-errors=off "$@" 2> ${at('out')}`);
    const to = sink();
    to.write(record);
    await to.close();
    expect(await appears('out', 'STRUCTURED')).toMatch(
      /^<11>\w+ .*wal-e\[42\]: wal_e.main {3}ERROR {4}MSG: it failed DETAIL/,
    );
  });

  it('starts nothing when there is no syslog', async () => {
    install(`touch ${at('started')}`);
    rmSync(at('socket'));
    const to = sink();
    to.write(record);
    await to.close();
    expect(existsSync(at('started'))).toBe(false);
  });

  it.each([
    ['is not there', undefined],
    ['fails at once', 'exit 1'],
  ])('is silent when logger %s', async (_title, script) => {
    install(script ?? '');
    if (script === undefined) rmSync(at('logger'));
    const to = sink(directory);
    for (let i = 0; i < 100; i++) to.write(record);
    await to.close();
  });

  it('does not wait for a logger that does not read', async () => {
    install(`echo $$ > ${at('pid')}; exec sleep 60`);
    const to = sink();
    to.write(record);
    const pid = Number(await appears('pid', '\n'));
    // More than a socket buffer holds, so that it cannot have been handed over.
    to.write({ ...record, message: 'x'.repeat(4_000_000) });
    await to.close();
    // Were it waited for, it would be gone by now.
    process.kill(pid);
  });
});
