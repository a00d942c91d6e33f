/**
 * Where the fields of pg_control are, for each of its formats: the C structures ControlFileData and CheckPoint of
 * PostgreSQL's `catalog/pg_control.h`, as a 64-bit compiler lays them out.
 */

type FieldType = 'bool' | 'int32' | 'uint32' | 'uint64' | 'int64' | 'double' | 'nonce';

const SIZE: Readonly<Record<FieldType, number>> = {
  bool: 1,
  int32: 4,
  uint32: 4,
  uint64: 8,
  int64: 8,
  double: 8,
  nonce: 32,
};

type Field = readonly [name: string, type: FieldType];

/** A field's place in bytes from the start of the file. */
export type ControlLayout = ReadonlyMap<string, number>;

/** `controlVersion` must be one that `version.ts` lists. */
export function controlLayout(controlVersion: number): ControlLayout {
  const places = new Map<string, number>();
  let end = 0;
  for (const [name, type] of fields(controlVersion)) {
    const alignment = type === 'nonce' ? 1 : SIZE[type];
    const place = Math.ceil(end / alignment) * alignment;
    places.set(name, place);
    end = place + SIZE[type];
  }
  return places;
}

function fields(version: number): Field[] {
  return [
    ['systemIdentifier', 'uint64'],
    ['controlVersion', 'uint32'],
    ['catalogVersion', 'uint32'],
    ['state', 'uint32'],
    ['time', 'int64'],
    ['checkPoint', 'uint64'],
    ...when(version < 1100, ['prevCheckPoint', 'uint64']),
    ...checkPoint(version),
    ['unloggedLsn', 'uint64'],
    ['minRecoveryPoint', 'uint64'],
    ['minRecoveryTimeline', 'uint32'],
    ['backupStartPoint', 'uint64'],
    ['backupEndPoint', 'uint64'],
    ['backupEndRequired', 'bool'],
    ['walLevel', 'int32'],
    ['walLogHints', 'bool'],
    ['maxConnections', 'int32'],
    ['maxWorkerProcesses', 'int32'],
    ...when(version >= 1200, ['maxWalSenders', 'int32']),
    ['maxPreparedTransactions', 'int32'],
    ['maxLocksPerTransaction', 'int32'],
    ['trackCommitTimestamp', 'bool'],
    ['maxAlign', 'uint32'],
    ['floatFormat', 'double'],
    ['blockBytes', 'uint32'],
    ['relationSegmentBlocks', 'uint32'],
    ['walBlockBytes', 'uint32'],
    ['segmentBytes', 'uint32'],
    ['nameDataLength', 'uint32'],
    ['indexMaxKeys', 'uint32'],
    ['toastMaxChunkSize', 'uint32'],
    ['largeObjectBlockSize', 'uint32'],
    ...when(version < 1000, ['enableIntTimes', 'bool']),
    ...when(version < 1300, ['float4ByValue', 'bool']),
    ['float8ByValue', 'bool'],
    ['dataChecksumVersion', 'uint32'],
    ...when(version >= 1800, ['defaultCharSignedness', 'bool']),
    ...when(version >= 1000, ['mockAuthenticationNonce', 'nonce']),
    ['crc', 'uint32'],
  ];
}

/** The structure starts and, having 64-bit members, ends on a multiple of 8; so does what follows it. */
function checkPoint(version: number): Field[] {
  return [
    ['redo', 'uint64'],
    ['timeline', 'uint32'],
    ['previousTimeline', 'uint32'],
    ['fullPageWrites', 'bool'],
    ...(version >= 1200
      ? ([['nextXid', 'uint64']] as Field[])
      : ([
          ['nextXidEpoch', 'uint32'],
          ['nextXid', 'uint32'],
        ] as Field[])),
    ['nextOid', 'uint32'],
    ['nextMulti', 'uint32'],
    ['nextMultiOffset', 'uint32'],
    ['oldestXid', 'uint32'],
    ['oldestXidDatabase', 'uint32'],
    ['oldestMulti', 'uint32'],
    ['oldestMultiDatabase', 'uint32'],
    ['checkPointTime', 'int64'],
    ['oldestCommitTimestampXid', 'uint32'],
    ['newestCommitTimestampXid', 'uint32'],
    ['oldestActiveXid', 'uint32'],
  ];
}

function when(condition: boolean, field: Field): Field[] {
  return condition ? [field] : [];
}
