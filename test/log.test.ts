import { expect, test } from 'vitest';
import { UserError } from '../src/errors.ts';
import { createLog, formatJson, formatText, type LogRecord } from '../src/log.ts';

const now = () => new Date('2026-11-21T06:06:15.123Z');

function logged(write: (log: ReturnType<typeof createLog>) => void, terse = false): LogRecord[] {
  const records: LogRecord[] = [];
  write(createLog({ sinks: [{ write: (record) => records.push(record) }], terse, pid: 7, now }));
  return records;
}

test('an expected error is one ERROR record with detail and hint, and no stack', () => {
  const error = new UserError('it failed', { detail: 'a fact', hint: 'do this' });
  const [record, ...rest] = logged((log) => log.failure(error));
  expect(rest).toEqual([]);
  expect(record).toMatchObject({ level: 'ERROR', message: 'it failed', detail: 'a fact', hint: 'do this' });
});

test("[log-4] any other error is a CRITICAL record in the original's words, with its stack", () => {
  const [record] = logged((log) => log.failure(new TypeError('a bug')));
  expect(record).toMatchObject({
    level: 'CRITICAL',
    message: 'An unprocessed exception has avoided all error handling',
    detail: expect.stringMatching(/^TypeError: a bug\n\s+at /),
  });
});

test("the text form is the original's: padded names, indented lines, time and pid first", () => {
  const [record] = logged((log) =>
    log
      .named('wal_e.worker.upload')
      .info('begin', { detail: 'two\nlines', hint: 'h', structured: { seg: 's', action: 'a' } }),
  );
  expect(record === undefined ? '' : formatText(record)).toBe(
    [
      'wal_e.worker.upload INFO     MSG: begin',
      '        DETAIL: two',
      '        lines',
      '        HINT: h',
      '        STRUCTURED: time=2026-11-21T06:06:15.123000-00 pid=7 action=a seg=s',
    ].join('\n'),
  );
});

test('the JSON form is one line with the same facts', () => {
  const [record] = logged((log) => log.warning('careful', { structured: { seg: 's' } }));
  expect(JSON.parse(record === undefined ? '' : formatJson(record))).toEqual({
    time: '2026-11-21T06:06:15.123Z',
    pid: 7,
    level: 'WARNING',
    logger: 'wal_e.main',
    message: 'careful',
    seg: 's',
  });
});

test('a terse log holds warnings and up', () => {
  const records = logged((log) => {
    log.info('a');
    log.warning('b');
    log.error('c');
  }, true);
  expect(records.map(({ message }) => message)).toEqual(['b', 'c']);
});
