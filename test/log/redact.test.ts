import { describe, expect, it } from 'vitest';
import { createRedaction, redactRecord } from '../../src/log/redact.ts';

describe('secrets', () => {
  const redact = createRedaction({
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: '/wJalr+XUtn"FEMI',
    AWS_SECURITY_TOKEN: 'token-one',
    AWS_SESSION_TOKEN: 'token-one-and-more',
    AWS_WEB_IDENTITY_TOKEN_FILE: '/var/run/identity',
    PGPASSWORD: 'geheim',
    SWIFT_PASSWORD: 'ab',
    HOME: '/home/postgres',
  });

  it('in variables never appear, however they are quoted', () => {
    expect(redact('key /wJalr+XUtn"FEMI!')).toBe('key ***!');
    expect(redact(encodeURIComponent('/wJalr+XUtn"FEMI'))).toBe('***');
    expect(redact(JSON.stringify({ key: '/wJalr+XUtn"FEMI' }))).toBe('{"key":"***"}');
    expect(redact('password=geheim')).toBe('password=***');
  });

  it('that contain one another are hidden whole', () => {
    expect(redact('<token-one-and-more> <token-one>')).toBe('<***> <***>');
  });

  it('in addresses never appear', () => {
    expect(redact('https://user:pass@host/x and postgresql://me:pw@db/')).toBe(
      'https://***@host/x and postgresql://***@db/',
    );
    expect(redact('?X-Amz-Signature=abc&X-Amz-Date=1')).toBe('?X-Amz-Signature=***&X-Amz-Date=1');
  });

  it('are not seen where there are none: names of files, key ids, words', () => {
    const plain = '/var/run/identity /home/postgres AKIAEXAMPLE fabric s3://bucket/a:b@c';
    expect(redact(plain)).toBe(plain);
  });

  it('are hidden in every field of a record', () => {
    const time = new Date(0);
    const record = {
      logger: 'wal_e.main',
      level: 'ERROR',
      message: 'a geheim',
      detail: 'b geheim',
      hint: 'c geheim',
      structured: { key: 'd geheim', n: 1 },
      time,
      pid: 1,
    } as const;
    expect(redactRecord(record, redact)).toEqual({
      ...record,
      message: 'a ***',
      detail: 'b ***',
      hint: 'c ***',
      structured: { key: 'd ***', n: 1 },
    });
  });
});
