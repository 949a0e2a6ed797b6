// Alarm examples: templates of criteria, and binding values to one.

import { alarmExamples, boundCriteria } from '../alarm-examples.ts';
import { ok } from '../answer.ts';
import { type Call, param } from '../call.ts';
import { invalidKey, notFound } from '../errors.ts';
import { array, listOf, object, text } from '../json-schema.ts';
import { wholeList } from '../page.ts';
import type { Route } from '../route.ts';
import { read, test } from './define.ts';

const example = object({
  id: text,
  label: text,
  description: text,
  check_type: text,
  criteria: text,
  fields: array(object({ name: text, description: text, type: text })),
});

const tag = 'alarm examples';

export const alarmExampleRoutes: readonly Route[] = [
  read({
    path: '/alarm_examples',
    id: 'listAlarmExamples',
    tag,
    summary: 'List the alarm examples',
    role: 'read',
    returns: listOf(example),
    handle: async () => wholeList(alarmExamples),
  }),
  read({
    path: '/alarm_examples/:example',
    id: 'getAlarmExample',
    tag,
    summary: 'Read an alarm example',
    role: 'read',
    returns: example,
    handle: async (call) => ok(exampleOf(call)),
  }),
  test({
    path: '/alarm_examples/:example',
    id: 'evaluateAlarmExample',
    tag,
    summary: 'Bind values to the fields of an example',
    takes: object({ values: { type: 'object', additionalProperties: true } }),
    returns: object({ bound_criteria: text }),
    handle: async (call) => {
      const values = call.body['values'] ?? {};
      if (typeof values !== 'object' || Array.isArray(values))
        throw invalidKey('values', 'Not a hash');
      const bound = boundCriteria(exampleOf(call), values as Readonly<Record<string, unknown>>);
      return ok({ bound_criteria: bound });
    },
  }),
];

function exampleOf(call: Call) {
  const id = param(call, 'example');
  const found = alarmExamples.find((one) => one.id === id);
  if (found === undefined) throw notFound('AlarmExample', id.slice(0, 80));
  return found;
}
