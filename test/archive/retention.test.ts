import { describe, expect, it } from 'vitest';
import type { KnownBackup } from '../../src/archive/catalog.ts';
import type { DatedBackup } from '../../src/archive/chronology.ts';
import { judge, type Policy } from '../../src/archive/retention.ts';
import { parseHistory, TimelineTree } from '../../src/archive/timeline.ts';
import { type BackupSketch, backupOf, SEGMENT_BYTES, segmentAt } from './backups.ts';

const DAY = 86_400_000;
const NOW = new Date('2026-06-01T00:00:00Z');

/** Timeline 2 leaves timeline 1 in segment 20. */
const tree = new TimelineTree([parseHistory(2, '1\t0/14000000\tx\n')]);

const dated = (sketch: BackupSketch & { at: number }): DatedBackup => ({
  backup: backupOf(sketch),
  finished: new Date(sketch.at),
  source: sketch.system === undefined ? 'object' : 'sentinel',
});

/** `sketches`: oldest first. Names of those that stay. */
function kept(policy: Policy, sketches: readonly (BackupSketch & { at: number })[], known = tree): string[] {
  const history = { tree: known, segmentBytes: SEGMENT_BYTES };
  const verdicts = judge<KnownBackup>(policy, sketches.map(dated), history, NOW);
  return verdicts.filter(({ keep }) => keep).map(({ dated: { backup } }) => backup.name);
}

const nameOf = (sketch: BackupSketch) => backupOf(sketch).name;
const beforeName = (sketch: BackupSketch): Policy => ({ kind: 'before-backup', name: nameOf(sketch) });

describe('before the name of a backup on another timeline', () => {
  const named = { timeline: 2, start: 25, at: 10 * DAY };

  it('goes what starts in an earlier segment and was finished earlier, whether on a branch or not', () => {
    for (const start of [15, 24])
      expect(kept(beforeName(named), [{ start, at: DAY }, named])).toEqual([nameOf(named)]);
    const late = { start: 30, at: 10 * DAY };
    expect(kept(beforeName(late), [{ timeline: 2, start: 25, at: DAY }, late])).toEqual([nameOf(late)]);
  });

  it('stays what was finished at the same time, as in a copied archive', () => {
    expect(kept(beforeName(named), [{ start: 15, at: named.at }, named])).toHaveLength(2);
  });

  it('stays what starts in the same segment, or in a later one', () => {
    for (const start of [25, 26])
      expect(kept(beforeName(named), [{ start, at: DAY }, named])).toHaveLength(2);
  });

  it('stays what starts in a later segment also where only one of the two states its system', () => {
    const own = { ...named, system: '7' };
    expect(kept(beforeName(own), [{ start: 26, at: DAY }, own])).toHaveLength(2);
  });
});

describe('before a segment', () => {
  const policy: Policy = { kind: 'before-segment', segment: segmentAt(2, 25) };

  it('goes what lies on its history and starts in an earlier segment', () => {
    expect(
      kept(policy, [
        { start: 20, at: DAY },
        { timeline: 2, start: 24, at: DAY },
      ]),
    ).toEqual([]);
  });

  it('stays what lies on a branch, or on one that nobody knows', () => {
    expect(kept(policy, [{ start: 21, at: DAY }])).toHaveLength(1);
    expect(kept(policy, [{ start: 15, at: DAY }], new TimelineTree([]))).toHaveLength(1);
  });

  it('stays what is on a later timeline', () => {
    const older: Policy = { kind: 'before-segment', segment: segmentAt(1, 20) };
    expect(kept(older, [{ timeline: 2, start: 19, at: DAY }])).toHaveLength(1);
  });
});
