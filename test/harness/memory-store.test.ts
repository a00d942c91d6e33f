import { storeContract } from '../contract/store.ts';
import { MemoryStore } from './memory-store.ts';

storeContract('memory', async () => ({ store: new MemoryStore(), close: async () => {} }));
