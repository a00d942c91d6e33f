/** Where the log goes and in which form: WALE_LOG_DESTINATION, WALE_SYSLOG_FACILITY, WALE_LOG_FORMAT. */
import type { Environment } from './settings.ts';

export interface LogSettings {
  readonly stderr: boolean;
  readonly syslog: boolean;
  /** Lower case. */
  readonly facility: string;
  readonly format: 'text' | 'json';
  /** What in the variables made no sense and was replaced by the default, for standard error. */
  readonly complaints: readonly string[];
}

/** RFC 5424, table 1; the names are those of syslog.h. */
export const FACILITIES: Readonly<Record<string, number>> = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
};

/** Never fails: a log that cannot be set up as asked is still a log. */
export function logSettings(environment: Environment): LogSettings {
  const complaints: string[] = [];
  const destinations = readDestinations(environment.WALE_LOG_DESTINATION, complaints);
  return {
    stderr: destinations.includes('stderr'),
    syslog: destinations.includes('syslog'),
    facility: readFacility(environment.WALE_SYSLOG_FACILITY, complaints),
    format: readFormat(environment.WALE_LOG_FORMAT, complaints),
    complaints,
  };
}

function readDestinations(text: string | undefined, complaints: string[]): readonly string[] {
  if (text === undefined || text.trim() === '') return ['stderr', 'syslog'];
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter((name) => name === 'stderr' || name === 'syslog');
  if (known.length === names.length) return known;
  complaints.push('invalid WALE_LOG_DESTINATION: it is a comma-separated list of stderr and syslog');
  return known.length === 0 ? ['stderr'] : known;
}

function readFacility(text: string | undefined, complaints: string[]): string {
  if (text === undefined || text === '') return 'user';
  const name = text.toLowerCase();
  if (Object.hasOwn(FACILITIES, name)) return name;
  complaints.push('invalid syslog facility level specified');
  return 'user';
}

function readFormat(text: string | undefined, complaints: string[]): 'text' | 'json' {
  if (text === undefined || text === '' || text === 'text') return 'text';
  if (text === 'json') return 'json';
  complaints.push('invalid WALE_LOG_FORMAT: it is text or json');
  return 'text';
}
