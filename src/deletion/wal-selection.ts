/** What becomes of an object of the WAL tree: the rule about segments, applied to names. */
import { classifyKey } from '../archive/layout.ts';
import { segmentIndex } from '../archive/wal-inventory.ts';
import type { WalRule, WalVerdict } from '../archive/wal-rule.ts';
import { MAX_NUMBER_IN_LOG, segmentTimeline, walFileKind } from '../postgres/segment.ts';
import type { ObjectInfo } from '../store/store.ts';

/** `segment` has the name of a WAL segment, `label` that of the label file of a backup. */
export interface WalFate {
  readonly kind: 'segment' | 'label' | 'history' | 'partial' | 'foreign';
  readonly name: string;
  readonly remove: boolean;
  /** The rule's, on segments and labels; undefined for all else, and where everything goes. */
  readonly verdict: WalVerdict | undefined;
}

export interface WalSelection {
  readonly rule: WalRule;
  readonly segmentBytes: number;
  /** `everything`: all goes but what a backup that is being made needs. */
  readonly everything: 'no' | 'all' | 'but-needed';
}

export function walFate({ key, modified }: ObjectInfo, selection: WalSelection): WalFate {
  const classified = classifyKey(key);
  const name = classified.kind === 'wal' ? classified.name : key;
  const kind = fateKind(classified.kind === 'wal' ? name : '');
  if (selection.everything === 'all') return { kind, name, remove: true, verdict: undefined };
  const all = selection.everything === 'but-needed';
  if (kind === 'history') return { kind, name, remove: false, verdict: undefined };
  if (kind === 'partial' || kind === 'foreign') return { kind, name, remove: all, verdict: undefined };
  const place = { timeline: segmentTimeline(name), index: segmentIndex(name, selection.segmentBytes) };
  const verdict = selection.rule.judge(place, modified);
  const remove = verdict === 'behind' || verdict === 'replaced' || (all && verdict === 'beside');
  return { kind, name, remove, verdict };
}

function fateKind(name: string): WalFate['kind'] {
  const kind = walFileKind(name);
  if (kind === 'history' || kind === 'partial') return kind;
  // A number that no segment can have says nothing about a position.
  const isPossible = Number.parseInt(name.slice(16, 24), 16) <= MAX_NUMBER_IN_LOG;
  if (kind === 'other' || !isPossible) return 'foreign';
  return kind === 'backup' ? 'label' : kind;
}
