/** Connections to the store: kept alive, shared within the command, by the proxy and the authorities of the settings. */
import { promises as fs } from 'node:fs';
import * as http from 'node:http';
import type { Agent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { SettingError } from '../../errors.ts';
import type { Address } from './address.ts';
import type { AgentSource } from './transport.ts';

export interface AgentOptions {
  readonly caFile: string | undefined;
  readonly proxy: string | undefined;
  /** How long a proxy may say nothing. */
  readonly connectMs: number;
  /** How host names are resolved; Node's way unless given. */
  readonly lookup?: LookupFunction | undefined;
}

export interface SecureAgentOptions {
  readonly ca?: string | string[] | undefined;
  readonly proxy: string | undefined;
  /** How long a proxy may say nothing. */
  readonly connectMs: number;
  readonly lookup?: LookupFunction | undefined;
}

export interface Agents {
  readonly agentFor: AgentSource;
  close(): void;
}

const KEEP_ALIVE = { keepAlive: true, noDelay: true, scheduling: 'lifo', maxFreeSockets: 64 } as const;

export function createAgents(options: AgentOptions): Agents {
  const made = new Map<string, Promise<http.Agent>>();
  const agentFor = ({ protocol }: Address) => {
    const known = made.get(protocol);
    if (known !== undefined) return known;
    const agent = protocol === 'http' ? plainAgent(options) : storeAgent(options);
    made.set(protocol, agent);
    return agent;
  };
  return {
    agentFor,
    close() {
      for (const agent of made.values()) {
        agent.then(
          (opened) => opened.destroy(),
          () => undefined,
        );
      }
    },
  };
}

async function storeAgent({ caFile, ...options }: AgentOptions): Promise<Agent> {
  return secureAgent({ ...options, ca: caFile === undefined ? undefined : await readAuthorities(caFile) });
}

async function plainAgent({ lookup }: AgentOptions): Promise<http.Agent> {
  return new http.Agent({ ...KEEP_ALIVE, ...(lookup === undefined ? {} : { lookup }) });
}

/** `ca`: in PEM form, instead of Node's own. */
export async function secureAgent({ ca, proxy, connectMs, lookup }: SecureAgentOptions): Promise<Agent> {
  const options = { ...KEEP_ALIVE, ...(ca === undefined ? {} : { ca }) };
  if (proxy !== undefined) {
    const { createTunnelAgent } = await import('./tunnel.ts');
    return createTunnelAgent({ url: proxy, connectMs }, options);
  }
  const https = await import('node:https');
  return new https.Agent({ ...options, ...(lookup === undefined ? {} : { lookup }) });
}

/** The text of a file of certificates. */
export async function readAuthorities(path: string): Promise<string> {
  let text: string;
  try {
    text = await fs.readFile(path, 'utf8');
  } catch (error) {
    throw new SettingError('the file of AWS_CA_BUNDLE cannot be read', {
      detail: error instanceof Error ? error.message : String(error),
      hint: 'Set the environment variable AWS_CA_BUNDLE to a file of certificates in PEM form, or unset it.',
      cause: error,
    });
  }
  if (text.includes('-----BEGIN CERTIFICATE-----') || text.includes('-----BEGIN TRUSTED CERTIFICATE-----')) {
    return text;
  }
  throw new SettingError('the file of AWS_CA_BUNDLE holds no certificate', {
    detail: `"${path}" has no "-----BEGIN CERTIFICATE-----" in it.`,
    hint: 'Set the environment variable AWS_CA_BUNDLE to a file of certificates in PEM form, or unset it.',
  });
}
