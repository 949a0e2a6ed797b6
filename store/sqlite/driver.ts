// The only importer of the SQLite package. `node:sqlite` (Node 22.13 and later) has the same API: swap it here.
import { DatabaseSync } from '@photostructure/sqlite';

export { DatabaseSync };
export type Database = InstanceType<typeof DatabaseSync>;
