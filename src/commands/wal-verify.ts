/**
 * `wal-e wal-verify`: timelines, gaps, and how far each backup can be restored; with --read every object is read, too.
 * Exit status 1 when a backup cannot be restored to the end of the WAL or an object is damaged.
 */
import { availableParallelism } from 'node:os';
import { chronology } from '../archive/chronology.ts';
import { backupSegment } from '../archive/layout.ts';
import { segmentSizeOf, sizeSeenIn } from '../archive/segment-size.ts';
import { labelTimeFrom, surveyBackups } from '../archive/survey.ts';
import { openCodec } from '../codec/open.ts';
import { MIN_SEGMENT_BYTES } from '../postgres/segment.ts';
import { formatBytes } from '../progress.ts';
import type { Store } from '../store/store.ts';
import { assess } from '../verification/assessment.ts';
import { type Readings, readObjects } from '../verification/reading.ts';
import { formatReport, makeReport } from '../verification/report.ts';
import { type ReadPart, readPartOf, type VerifyArguments } from '../verification/request.ts';
import { surveyWal } from '../verification/wal-survey.ts';
import type { Context } from './context.ts';

export type { VerifyArguments } from '../verification/request.ts';

const MAX_THREADS = 4;
const PROGRESS_MS = 60_000;

export async function run(args: VerifyArguments, context: Context): Promise<number> {
  const part = readPartOf(args);
  const store = await context.openStore();
  const call = { signal: context.signal };
  const readings = part === undefined ? undefined : await read(store, part, context);
  const damaged = readings?.damaged ?? new Map<string, string>();
  const survey = await surveyBackups(store, call, damaged);
  const starts = survey.backups.map(({ name }) => backupSegment(name));
  let size = await segmentSizeOf(store, survey.backups, starts, call);
  // A segment must not be called short for a size that is only assumed.
  const least = size.source === 'assumed' ? MIN_SEGMENT_BYTES : size.bytes;
  const wal = await surveyWal(store, least, damaged, call);
  if (size.source === 'assumed') size = (await sizeSeenIn(store, wal.inventory, call)) ?? size;
  const archive = {
    tree: wal.tree,
    coverage: wal.inventory.sized(size.bytes),
    listed: wal.listed.sized(size.bytes),
    recent: wal.recent,
  };
  const dated = await chronology(survey.backups, labelTimeFrom(store, call));
  const now = new Date();
  const report = makeReport({
    archive,
    segmentSize: size,
    assessments: dated.map((entry) => assess(entry, archive, now)),
    problems: wal.problems,
    foreign: [survey.foreign, wal.foreign],
    coldSegments: wal.cold,
    readings: readings && part && { ...readings, part: `${part.part}/${part.of}` },
  });
  await context.print(args.json ? `${JSON.stringify(report)}\n` : formatReport(report));
  return report.ok ? 0 : 1;
}

async function read(store: Store, part: ReadPart, { signal, log }: Context): Promise<Readings> {
  const codec = openCodec({ size: Math.min(availableParallelism(), MAX_THREADS), signal });
  let lastTold = Date.now();
  const tell = ({ objects, bytes, damaged }: Readings) => {
    if (Date.now() - lastTold < PROGRESS_MS) return;
    lastTold = Date.now();
    log.info('reading the archive', {
      detail: `${objects} objects read (${formatBytes(bytes)}), ${damaged.size} of them damaged.`,
    });
  };
  try {
    return await readObjects({ store, codec, signal }, part, tell);
  } finally {
    await codec.close();
  }
}
