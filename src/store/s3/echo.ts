/**
 * A proxy that answers twice would have its second answer taken for that to the next request, which never was done.
 * Every answer of a store has an identity of its own, so an echo shows.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** True for an answer that came on its connection before. */
export type EchoGuard = (response: IncomingMessage) => boolean;

export function createEchoGuard(): EchoGuard {
  const answered = new WeakMap<Socket, string>();
  let last: string | undefined;
  let telling = true;
  return (response) => {
    const id = response.headers['x-amz-request-id'];
    if (typeof id !== 'string' || id === '') return false;
    const before = answered.get(response.socket);
    // The same on another connection: then this store's identities are none.
    if (before === undefined && id === last) telling = false;
    answered.set(response.socket, id);
    last = id;
    return telling && before === id;
  };
}
