import { describe, expect, it } from 'vitest';
import { logSettings } from '../../src/settings/log.ts';

describe('where the log goes', () => {
  it('to standard error and syslog, facility user, as text, when nothing is said', () => {
    const settings = { stderr: true, syslog: true, facility: 'user', format: 'text', complaints: [] };
    expect(logSettings({})).toEqual(settings);
    expect(logSettings({ WALE_LOG_DESTINATION: '', WALE_SYSLOG_FACILITY: '', WALE_LOG_FORMAT: '' })).toEqual(
      settings,
    );
  });

  it.each([
    ['stderr', true, false],
    ['syslog', false, true],
    ['syslog, stderr', true, true],
  ])('%s', (text, stderr, syslog) => {
    expect(logSettings({ WALE_LOG_DESTINATION: text })).toMatchObject({ stderr, syslog, complaints: [] });
  });

  it('a destination that does not exist is told, and never leaves the command without a log', () => {
    const only = logSettings({ WALE_LOG_DESTINATION: 'file' });
    expect(only).toMatchObject({ stderr: true, syslog: false });
    expect(only.complaints).toHaveLength(1);
    expect(logSettings({ WALE_LOG_DESTINATION: 'syslog,file' })).toMatchObject({
      stderr: false,
      syslog: true,
    });
  });

  it('a facility is any of syslog.h, in any case; another is told as in the original, and user taken', () => {
    expect(logSettings({ WALE_SYSLOG_FACILITY: 'LOCAL7' }).facility).toBe('local7');
    expect(logSettings({ WALE_SYSLOG_FACILITY: 'toString' })).toMatchObject({
      facility: 'user',
      complaints: ['invalid syslog facility level specified'],
    });
  });

  it('the form is text or json', () => {
    expect(logSettings({ WALE_LOG_FORMAT: 'json' }).format).toBe('json');
    expect(logSettings({ WALE_LOG_FORMAT: 'xml' })).toMatchObject({
      format: 'text',
      complaints: [expect.any(String)],
    });
  });
});
