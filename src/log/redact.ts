/** Keeps secrets out of everything that is written: values of variables that hold one, and what addresses carry. */
import type { LogRecord } from '../log.ts';
import type { Environment } from '../settings/settings.ts';

/** In capitals: V8 builds tables of Unicode for the first expression that ignores case, which takes 0.5 ms. */
const SECRET_NAME = /SECRET|TOKEN|PASSWORD|PASSPHRASE|ACCESS_KEY$/;
/** Variables that say where a secret is hold none themselves: AWS_WEB_IDENTITY_TOKEN_FILE. */
const PLACE_NAME = /(?:FILE|PATH|DIR|URI|URL|ENDPOINT)$/;
/** Masking a shorter text would hit innocent words, and so tell the secret. */
const SHORTEST = 4;
const USER_AND_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"']*:[^\s/@"']*@/gi;
const SIGNATURE = /\b(X-Amz-(?:Signature|Security-Token|Credential)|Signature|sig)=[^&\s"'<]+/gi;
const MASK = '***';

export type Redact = (text: string) => string;

/** The environment is read when the function is made. */
export function createRedaction(environment: Environment): Redact {
  const secrets = Object.entries(environment)
    .filter(([name, value]) => value !== undefined && holdsSecret(name.toUpperCase()))
    .flatMap(([, value = '']) => [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)])
    .filter((value) => value.length >= SHORTEST)
    .sort((a, b) => b.length - a.length);
  return (text) => {
    // Most texts have neither, and V8 compiles an expression when it is first used.
    let clean = text.includes('@') ? text.replace(USER_AND_PASSWORD, `$1${MASK}@`) : text;
    if (clean.includes('=')) clean = clean.replace(SIGNATURE, `$1=${MASK}`);
    for (const secret of secrets) clean = clean.replaceAll(secret, MASK);
    return clean;
  };
}

function holdsSecret(name: string): boolean {
  return SECRET_NAME.test(name) && !PLACE_NAME.test(name);
}

/** Field by field, so that every form of the log is clean. */
export function redactRecord(record: LogRecord, redact: Redact): LogRecord {
  const { detail, hint, structured } = record;
  return {
    ...record,
    message: redact(record.message),
    detail: detail === undefined ? undefined : redact(detail),
    hint: hint === undefined ? undefined : redact(hint),
    structured:
      structured === undefined
        ? undefined
        : Object.fromEntries(
            Object.entries(structured).map(([key, value]) => [
              key,
              typeof value === 'string' ? redact(value) : value,
            ]),
          ),
  };
}
