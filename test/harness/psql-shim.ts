/** As much of psql as the pages use, for machines without it: `psql [-AtX] [-v ON_ERROR_STOP=1] [-d DB] [-h DIR] [-p PORT] -c SQL …`. */
import { parseArgs } from 'node:util';
import pg from 'pg';

const { values } = parseArgs({
  options: {
    'no-align': { type: 'boolean', short: 'A' },
    'tuples-only': { type: 'boolean', short: 't' },
    'no-psqlrc': { type: 'boolean', short: 'X' },
    quiet: { type: 'boolean', short: 'q' },
    dbname: { type: 'string', short: 'd', default: 'postgres' },
    host: { type: 'string', short: 'h' },
    port: { type: 'string', short: 'p' },
    command: { type: 'string', short: 'c', multiple: true, default: [] },
  },
});

const address = {
  ...(values.host === undefined ? {} : { host: values.host }),
  ...(values.port === undefined ? {} : { port: Number(values.port) }),
};
const client = new pg.Client({ database: values.dbname, ...address, types: { getTypeParser: () => String } });
client.on('notice', (notice) => process.stderr.write(`NOTICE:  ${notice.message ?? ''}\n`));
await client.connect();
try {
  for (const sql of values.command) {
    const { rows, fields, command } = await client.query<Record<string, string | null>>(sql);
    if (fields.length === 0) process.stdout.write(values['tuples-only'] ? '' : `${command}\n`);
    else
      process.stdout.write(
        table(
          fields.map(({ name }) => name),
          rows.map((row) => Object.values(row)),
        ),
      );
  }
} catch (error) {
  process.stderr.write(`ERROR:  ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await client.end();
}

function table(names: string[], rows: (string | null)[][]): string {
  const cells = rows.map((row) => row.map((cell) => cell ?? ''));
  if (values['tuples-only'] === true) return cells.map((row) => `${row.join('|')}\n`).join('');
  const count = `(${rows.length} row${rows.length === 1 ? '' : 's'})`;
  return `${[names, ...cells].map((row) => ` ${row.join(' | ')}`).join('\n')}\n${count}\n`;
}
