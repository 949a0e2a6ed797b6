// The check types as the API lists them (`GET /check_types`). Derived from the table of details; must not know more.
import { detailFields } from './details.ts';

export interface CheckTypeItem {
  readonly id: string;
  readonly type: 'remote';
  readonly category: 'remote';
  readonly fields: readonly {
    readonly name: string;
    readonly description: string;
    readonly optional: boolean;
  }[];
  readonly supported_platforms: null;
}

/** All remote check types of the API, by id; also those that no prober of the installation can run. */
export const checkTypes: readonly CheckTypeItem[] = Object.entries(detailFields).map(
  ([id, fields]) => ({
    id,
    type: 'remote',
    category: 'remote',
    fields: Object.entries(fields).map(([name, field]) => ({
      name,
      description: field.description,
      optional: field.required !== true,
    })),
    supported_platforms: null,
  }),
);
