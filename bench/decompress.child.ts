/** A process that decompresses one lzop file and does nothing else. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { LzopDecoder } from '../src/codec/decoder.ts';

const to = openSync('/dev/null', 'w');
const decoder = new LzopDecoder();
for (const plain of decoder.pushViews(readFileSync(process.argv[2] ?? ''))) writeSync(to, plain);
decoder.end();
closeSync(to);
