/** A second decoder of LZO1X, by other people and from other sources: FFmpeg's, as the package lzo-wasm has it. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** What is used of the module that Emscripten made; the package has no types. */
interface LzoWasm {
  readonly default: (options: { readonly wasmBinary: Uint8Array }) => Promise<Decoder>;
}

interface Decoder {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  /** Returns the address of the output. Throws when the input is damaged. */
  _decompress(input: number, inputLength: number, outputLength: number): number;
}

export type Oracle = (packed: Uint8Array, plainLength: number) => Buffer | undefined;

/** Decompresses a bare block; undefined when the oracle refuses it. */
export async function createOracle(): Promise<Oracle> {
  const wasmBinary = readFileSync(createRequire(import.meta.url).resolve('lzo-wasm/lzo-wasm.wasm'));
  const name: string = 'lzo-wasm/lzo-wasm.js';
  const { default: createModule } = (await import(name)) as LzoWasm;
  const decoder = await createModule({ wasmBinary });
  return (packed, plainLength) => {
    // It is allowed to look at some bytes behind its input.
    const input = decoder._malloc(packed.length + 8);
    decoder.HEAPU8.set(packed, input);
    decoder.HEAPU8.fill(0, input + packed.length, input + packed.length + 8);
    try {
      const output = decoder._decompress(input, packed.length, plainLength);
      const plain = Buffer.from(decoder.HEAPU8.subarray(output, output + plainLength));
      decoder._free(output);
      return plain;
    } catch {
      return undefined;
    } finally {
      decoder._free(input);
    }
  };
}
